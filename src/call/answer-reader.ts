/** Buffers a body that is not a stream (an answer in JSON, an error reply), up to a limit. */
import { isUtf8 } from "node:buffer";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { HeldShare } from "../core/held-memory.ts";
import type { BodyReader } from "./body-reader.ts";

export interface AnswerReaderOptions {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /** Whether what came of a body without a clean end is the whole answer all the same. @defaultValue it never is */
  readonly isWhole?: (body: Buffer) => boolean;
  /** What is buffered counts here, to be released by the one who opened it. @defaultValue it is not counted */
  readonly held?: HeldShare | undefined;
  onProgress(): void;
  onWhole(body: Buffer): void;
  onFailure(failure: Failure): void;
}

export function createAnswerReader(options: AnswerReaderOptions): BodyReader {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return {
    onData(chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      options.held?.add(chunk.length);
      options.onProgress();
      if (bytes > options.maxBytes) {
        options.onFailure(answerTooLarge(options.maxBytes));
      }
    },
    onEnd(cause) {
      const body = Buffer.concat(chunks, bytes);
      if (cause === undefined || options.isWhole?.(body)) options.onWhole(body);
      else options.onFailure(cause);
    },
  };
}

/** JSON says where it ends: an answer that is there, and has finished, lacks nothing when its connection breaks behind it. */
export function isFinishedAnswer(body: Buffer, dialect: Dialect): boolean {
  try {
    return dialect.saysFinished?.(parseAnswer(body).value) === true;
  } catch {
    return false;
  }
}

/** @param maxBytes `limits.maxBodyBytes`. */
export function answerTooLarge(maxBytes: number): Failure {
  const message = `the upstream's answer is larger than limits.maxBodyBytes (${maxBytes} bytes)`;
  return new Failure("stream_corrupted", message, { scope: "never" });
}

export interface ParsedAnswer {
  readonly value: unknown;
  /** The answer alone, byte for byte. */
  readonly body: Buffer;
}

/**
 * The JSON value that a body holds. Some gateways put events behind it, `data: [DONE]` above all, which are no part of it.
 * @throws Failure `empty_stream` when there is none, `stream_truncated` when it stops in the middle, `stream_corrupted` otherwise.
 */
export function parseAnswer(body: Buffer): ParsedAnswer {
  if (!isUtf8(body)) throw new Failure("stream_corrupted", "the upstream's answer is not valid UTF-8");
  // A byte order mark is blank as well.
  const text = body.toString("utf8").trim();
  if (text === "") throw new Failure("empty_stream", "the upstream answered 200 with an empty body");
  try {
    return { value: JSON.parse(text), body };
  } catch (cause) {
    const alone = text.slice(0, FIELD_LINE.exec(text)?.index ?? text.length);
    if (alone !== text && isJsonText(alone)) return { value: JSON.parse(alone), body: Buffer.from(alone) };
    // An object that was begun and cannot be read was cut: without a length the transport cannot tell.
    if (text.startsWith("{")) throw new Failure("stream_truncated", "the upstream's JSON answer stops in the middle", { cause });
    throw new Failure("stream_corrupted", "the upstream's answer is not JSON", { cause });
  }
}

/** Whether a body is JSON, alone or with events behind it. */
export function isJson(body: Buffer): boolean {
  const text = body.toString("utf8").trim();
  return isJsonText(text) || isJsonText(text.slice(0, FIELD_LINE.exec(text)?.index ?? 0));
}

/** Inside JSON no line begins so. */
const FIELD_LINE = /[\r\n](?:data|event|id|retry)?:/;

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
