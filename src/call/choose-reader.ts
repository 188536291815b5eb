/** Which reader a response gets: what its body is decides, and where that says nothing, what it is said to be. */
import { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { BodyKind } from "./body-kind.ts";
import type { BodyReader } from "./body-reader.ts";
import { createSniffingReader } from "./sniffing-reader.ts";

export interface Readers {
  readonly stream: () => BodyReader;
  readonly json: () => BodyReader;
}

export interface Expected {
  /** What was asked for. */
  readonly form: keyof Readers;
  /** Largest answer in JSON, in bytes. */
  readonly maxBytes: number;
  /** Bytes have come that do not tell yet what the body is. */
  onUndecided?(): void;
  onFailure(failure: Failure): void;
}

export function chooseReader(headers: ReplyHeaders, readers: Readers, expected: Expected): BodyReader {
  const labelled = labelOf(headers);
  return createSniffingReader({
    readers,
    maxBytes: expected.maxBytes,
    saysStream: labelled === "stream",
    onUndecided: () => expected.onUndecided?.(),
    onFailure: expected.onFailure,
    decide(kind) {
      if (kind === "stream" || kind === "json") return kind;
      if (kind === "page" || labelled === "page") throw isPage(headers, expected.form);
      return labelled ?? expected.form;
    },
  });
}

/** What the headers say that the body is; undefined where they name nothing that is known here. */
export function labelOf(headers: ReplyHeaders): Exclude<BodyKind, "other"> | undefined {
  const type = contentType(headers).toLowerCase();
  if (type.includes("text/event-stream")) return "stream";
  if (/\bjson\b/.test(type)) return "json";
  return type.startsWith("text/html") ? "page" : undefined;
}

/** The same headers for what is JSON, whatever the upstream called it. */
export function asJson(headers: ReplyHeaders): ReplyHeaders {
  return labelOf(headers) === "json" ? headers : { ...headers, "content-type": "application/json" };
}

function contentType(headers: ReplyHeaders): string {
  return String(headers["content-type"] ?? "");
}

function isPage(headers: ReplyHeaders, form: keyof Readers): Failure {
  const wanted = form === "stream" ? "an event stream" : "JSON";
  const type = contentType(headers).split(";", 1)[0];
  return new Failure("stream_corrupted", `the upstream answered with a web page (content-type "${type}") instead of ${wanted}`);
}
