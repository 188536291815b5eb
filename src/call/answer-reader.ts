/** Buffers a body that is not a stream (an answer in JSON, an error reply), up to a limit. */
import { isUtf8 } from "node:buffer";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { BodyReader } from "./body-reader.ts";

export interface AnswerReaderOptions {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /** Whether what came of a body without a clean end is the whole answer all the same. @defaultValue it never is */
  readonly isWhole?: (body: Buffer) => boolean;
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
    return dialect.saysFinished?.(parseAnswer(body)) === true;
  } catch {
    return false;
  }
}

/** @param maxBytes `limits.maxBodyBytes`. */
export function answerTooLarge(maxBytes: number): Failure {
  const message = `the upstream's answer is larger than limits.maxBodyBytes (${maxBytes} bytes)`;
  return new Failure("stream_corrupted", message, { scope: "never" });
}

/**
 * The JSON value that a body holds.
 * @throws Failure `empty_stream` when there is none, `stream_truncated` when it stops in the middle, `stream_corrupted` otherwise.
 */
export function parseAnswer(body: Buffer): unknown {
  if (!isUtf8(body)) throw new Failure("stream_corrupted", "the upstream's answer is not valid UTF-8");
  // A byte order mark is blank as well.
  const text = body.toString("utf8").trim();
  if (text === "") throw new Failure("empty_stream", "the upstream answered 200 with an empty body");
  try {
    return JSON.parse(text);
  } catch (cause) {
    // An object that was begun and cannot be read was cut: without a length the transport cannot tell.
    if (text.startsWith("{")) throw new Failure("stream_truncated", "the upstream's JSON answer stops in the middle", { cause });
    throw new Failure("stream_corrupted", "the upstream's answer is not JSON", { cause });
  }
}
