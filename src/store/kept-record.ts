/** An answer as it stands in the store: whose it is, its events, and how it ended; neither its request nor anybody's key. */
import type { EventKind } from "../core/event-sink.ts";
import { Failure, type FailureCode } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { dialectNamed } from "../dialect/registry.ts";
import type { KeptEnd, KeptFacts } from "../run/kept-answer.ts";

export function writeFacts({ client, request, api }: KeptFacts): string {
  return JSON.stringify({ client, request, dialect: api.dialect.name, asked: api.request });
}

/** Undefined for what another version has written that this one cannot read. */
export function readFacts(text: string): KeptFacts | undefined {
  const { client, request, dialect: name, asked } = JSON.parse(text);
  const dialect = dialectNamed(name);
  return dialect && { client, request, api: { dialect, request: asked } };
}

/** An entry of a Redis Stream. */
export type Entry = readonly [id: string, fields: string[]];

export function numberOf(entry: Entry | undefined): number | undefined {
  return entry && Number(entry[0].split("-", 1)[0]);
}

/** The fields of an entry, which is event number n of its stream: Redis has them as pairs. */
export function writeEvent({ event, data, characters }: StreamEvent, kind: EventKind): string[] {
  return ["k", kind, "c", String(characters ?? 0), "d", data, ...(event === undefined ? [] : ["e", event])];
}

export function readEvent(fields: readonly string[]): { event: StreamEvent; kind: EventKind } {
  const of = (name: string): string | undefined => {
    for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
    return undefined;
  };
  return {
    event: { event: of("e"), data: of("d") ?? "", characters: Number(of("c")) },
    kind: (of("k") ?? "meta") as EventKind,
  };
}

/** What the upstream said of a failure in its own words may quote the request, and is left out where no client has it in its answer. */
export function writeEnd(end: KeptEnd): string {
  if (end.kind === "failed") {
    const { failure, message, errorEvent, seams } = end;
    return JSON.stringify({
      kind: "failed",
      code: failure.code,
      what: failure.message,
      status: failure.status,
      message,
      errorEvent,
      seams,
    });
  }
  const { result } = end;
  return JSON.stringify(result.kind === "reply" ? { ...end, result: { ...result, body: result.body.toString("base64") } } : end);
}

export function readEnd(text: string): KeptEnd {
  const json = JSON.parse(text);
  if (json.kind === "failed") {
    const { code, what, status, message, errorEvent, seams } = json;
    return { kind: "failed", failure: new Failure(code as FailureCode, what, { status }), message, errorEvent, seams };
  }
  return json.result.kind === "reply"
    ? { ...json, result: { ...json.result, body: Buffer.from(json.result.body, "base64") } }
    : json;
}
