/** Captures of single exchanges of a running proxy (`record`): what its upstreams sent is a case that `perennial replay` plays. */
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { STATUS_CODES } from "node:http";
import { join } from "node:path";
import type { Exchange } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { CallWatch, Recording } from "../core/recording.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { Step } from "./case-file.ts";
import { type MaskOptions, maskRequest, maskResponse } from "./mask.ts";
import { parseObject, type Read, secretsOf, toCase, toSteps } from "./write-case.ts";

export interface ExchangeRecorderOptions {
  /** Where captures go, and nowhere else. */
  readonly dir: string;
  /** Prompts and answers are written as they are; otherwise masked letter by letter. */
  readonly texts: boolean;
  /** When the folder has so many captures none is written any more: what somebody may still want is not deleted. */
  readonly maxFiles: number;
  /** A capture that would be larger is not written at all, since half of one cannot be played. In bytes. */
  readonly maxFileBytes: number;
  /** Keys of the configuration: they are masked wherever an upstream repeats them. */
  readonly secrets: readonly string[];
  readonly recordings: OpenRecordings;
  /** @param reason why it was not written; undefined when it was. */
  report(id: string, reason?: string): void;
}

/** Those that are being made, of every configuration: where memory is short they go first, before anything that is for a client. */
export class OpenRecordings {
  readonly held: HeldMemory;
  readonly #open = new Set<ExchangeRecording>();

  constructor(held: HeldMemory) {
    this.held = held;
    held.onShortage((bytes) => {
      let missing = bytes;
      for (const recording of this.#open) {
        if (missing <= 0) return;
        missing -= recording.drop("it has no room in memory (limits.maxHeldBytes)");
      }
    });
  }

  add(recording: ExchangeRecording): void {
    this.#open.add(recording);
  }

  delete(recording: ExchangeRecording): void {
    this.#open.delete(recording);
  }
}

/** Names are the ids of exchanges (`x-perennial-id`). */
const CAPTURE = /^[0-9a-f-]{36}\.json$/;

/** @returns what gives each exchange that asks for it a recording, and undefined to all others. */
export function createExchangeRecorder(options: ExchangeRecorderOptions): (exchange: Exchange) => Recording | undefined {
  const { dir, maxFiles, report } = options;
  /** One after the other, so that the files are counted rightly. */
  let last: Promise<void> = Promise.resolve();

  async function write(id: string, text: string): Promise<void> {
    const file = join(dir, `${id}.json`);
    const unfinished = `${file}.tmp`;
    try {
      const captures = (await readdir(dir)).filter((name) => CAPTURE.test(name));
      if (captures.length >= maxFiles) return report(id, `there are ${captures.length} captures (record.maxFiles)`);
      // There is a capture, or there is none: who looks into the folder finds no half of one.
      await writeFile(unfinished, text, { mode: 0o600, flag: "wx" });
      await rename(unfinished, file);
      report(id);
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      report(id, `it cannot be written (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
    }
  }

  return (exchange) => {
    if (exchange.request.headers["x-perennial-record"] !== "1") return undefined;
    return new ExchangeRecording(exchange, options, (text) => {
      last = last.then(() => write(exchange.id, text));
      return last;
    });
  };
}

class ExchangeRecording implements Recording {
  readonly #exchange: Exchange;
  readonly #options: ExchangeRecorderOptions;
  readonly #write: (text: string) => Promise<void>;
  readonly #held: HeldShare;
  #calls: RecordedCall[] = [];
  #path: string | undefined;
  /** Why nothing will be written; undefined as long as something may be. */
  #dropped: string | undefined;

  constructor(exchange: Exchange, options: ExchangeRecorderOptions, write: (text: string) => Promise<void>) {
    this.#exchange = exchange;
    this.#options = options;
    this.#write = write;
    this.#held = options.recordings.held.open();
    options.recordings.add(this);
    // It is held for the exchange as well, and counted there.
    const { plain, body } = exchange.request;
    if ((plain ?? (Buffer.isBuffer(body) ? body : "")).length > options.maxFileBytes) this.drop(TOO_LARGE);
  }

  call(url: string): CallWatch {
    this.#path ??= new URL(url).pathname;
    const call = new RecordedCall(this.#exchange.request.method, {
      onBytes: (bytes) => this.#count(bytes),
      onUnreadable: () => this.drop("an answer is compressed, and could not be masked"),
    });
    this.#calls.push(call);
    if (this.#dropped !== undefined) call.forget();
    return call;
  }

  async end(): Promise<void> {
    await Promise.all(this.#calls.map((call) => call.over));
    if (this.#calls.length === 0) this.drop("no upstream was asked for it");
    const text = this.#dropped === undefined ? this.#tryText() : "";
    if (Buffer.byteLength(text) > this.#options.maxFileBytes) this.drop(TOO_LARGE);
    this.#held.release();
    this.#options.recordings.delete(this);
    this.#calls = [];
    if (this.#dropped === undefined) await this.#write(text);
    else this.#options.report(this.#exchange.id, this.#dropped);
  }

  /** Nothing of it will be written. @returns what that frees, in bytes */
  drop(reason: string): number {
    const { bytes } = this.#held;
    this.#dropped ??= reason;
    this.#held.release();
    for (const call of this.#calls) call.forget();
    return bytes;
  }

  #count(bytes: number): void {
    this.#held.add(bytes);
    if (this.#held.bytes > this.#options.maxFileBytes) this.drop(TOO_LARGE);
  }

  /** A text of millions of characters in one piece is more than an expression can match. */
  #tryText(): string {
    try {
      return this.#toText();
    } catch {
      this.drop("it cannot be masked");
      return "";
    }
  }

  #toText(): string {
    const { request, id } = this.#exchange;
    const { texts, secrets } = this.#options;
    const mask: MaskOptions = { secrets: [...secretsOf(request.headers), ...secrets], texts: !texts };
    const json = parseObject(request.plain ?? (Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)));
    const { model, ...body } = json ?? {};
    const parts = {
      id,
      model: typeof model === "string" ? model : undefined,
      path: this.#path && String(maskRequest(this.#path, { ...mask, texts: false })),
      body: json === undefined ? undefined : (maskRequest(body, mask) as Record<string, unknown>),
      responses: this.#calls.map((call) => call.toSteps(mask)),
    };
    return `${JSON.stringify(toCase(parts), undefined, 2)}\n`;
  }
}

const TOO_LARGE = "it is larger than record.maxFileBytes";

interface RecordedCallListener {
  onBytes(bytes: number): void;
  onUnreadable(): void;
}

/** The response is put together anew: the bytes of the body, their reads and their times are the upstream's, head and chunks are ours. */
class RecordedCall implements CallWatch {
  readonly over: Promise<void>;
  readonly #settle: () => void;
  readonly #method: string;
  readonly #listener: RecordedCallListener;
  #startedAt = performance.now();
  /** Undefined when nothing of it will be written. */
  #reads: Read[] | undefined = [];
  #isChunked = false;
  #end: Step["end"];

  constructor(method: string, listener: RecordedCallListener) {
    this.#method = method;
    this.#listener = listener;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#settle = resolve;
  }

  onHandover(): void {
    this.#startedAt = performance.now();
  }

  onHead(status: number, headers: ReplyHeaders): void {
    const encoding = headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") this.#listener.onUnreadable();
    const hasBody = this.#method !== "HEAD" && status !== 204 && status !== 304;
    this.#isChunked = hasBody && headers["content-length"] === undefined;
    const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
    const framing = this.#isChunked ? ["transfer-encoding: chunked"] : [];
    const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}`, ...lines, ...framing, "connection: close"];
    this.#read(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  }

  onData(chunk: Buffer): void {
    if (this.#reads === undefined) return;
    if (!this.#isChunked) this.#read(chunk);
    else this.#read(Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]));
  }

  onEnd(): void {
    if (this.#isChunked) this.#read(Buffer.from("0\r\n\r\n"));
    this.#finish("fin");
  }

  onFailure({ cause }: Failure): void {
    // A refused connection is told as one that was reset: a capture can only be played to somebody who is connected.
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
    this.#finish(/^(?:ECONNRESET|EPIPE|ECONNREFUSED)$/.test(code) ? "rst" : "fin");
  }

  onLeft(): void {
    this.#settle();
  }

  forget(): void {
    this.#reads = undefined;
  }

  toSteps(mask: MaskOptions): readonly Step[] {
    const reads = this.#reads ?? [];
    const bytes = maskResponse(Buffer.concat(reads.map((read) => read.bytes)), mask);
    return toSteps(reads, bytes, this.#startedAt, this.#end);
  }

  #finish(end: Step["end"]): void {
    this.#end = end;
    this.#settle();
  }

  #read(bytes: Buffer): void {
    if (this.#reads === undefined) return;
    this.#reads.push({ at: performance.now(), bytes });
    this.#listener.onBytes(bytes.length);
  }
}
