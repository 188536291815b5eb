/** Holds what a client was told against what a strict reader makes of the upstream's bytes. */
import type { Case } from "./case.ts";
import type { Told } from "./play.ts";
import { isObject } from "./rules.ts";
import { readStrictly } from "./strict-reading.ts";
import { readSse, type SseEvent } from "./strict-sse.ts";

/** What is wrong: `kind` is one of few, so that disagreements of the same kind can be counted as one. */
export interface Disagreement {
  readonly kind: string;
  readonly detail: string;
}

/** What the client has of the answer, as the contract words it. */
type Claim =
  | { readonly is: "whole"; readonly kept: readonly string[] }
  | { readonly is: "interrupted"; readonly kept: readonly string[]; readonly code: string }
  | { readonly is: "refused" }
  | { readonly is: "wrong"; readonly how: string };

export function judge(played: Case, told: Told): Disagreement | undefined {
  const readings = readStrictly(played);
  const verdicts = new Set(readings.map(({ verdict }) => verdict));
  const odd = [...new Set(readings.flatMap(({ odd }) => odd))].join("; ") || "nothing odd";
  const claim = claimOf(played, told);
  if (claim.is === "wrong") return { kind: claim.how, detail: odd };
  if (claim.is !== "whole") {
    const mustBeWhole = verdicts.size === 1 && verdicts.has("whole");
    const how = claim.is === "refused" ? `HTTP ${told.status}` : claim.code;
    if (mustBeWhole) return { kind: `a whole stream was refused (${how})`, detail: odd };
    if (claim.is === "refused" || readings.some(({ kept }) => isPrefix(claim.kept, kept))) return undefined;
    return { kind: "the part is not the beginning of the answer", detail: odd };
  }
  const good = readings.filter(({ verdict }) => verdict !== "broken");
  // By the first of what is odd: the rest often follows from it.
  if (good.length === 0) return { kind: `called whole in spite of: ${readings[0]?.odd[0]}`, detail: odd };
  if (good.some(({ kept, least }) => claim.kept.length >= least && isPrefix(claim.kept, kept))) return undefined;
  return { kind: "whole, but not the upstream's events", detail: odd };
}

function isPrefix(part: readonly string[], whole: readonly string[]): boolean {
  return part.length <= whole.length && part.every((data, index) => data === whole[index]);
}

function claimOf({ dialect }: Case, { status, body, end }: Told): Claim {
  if (end === "open") return { is: "wrong", how: "the client waits for ever" };
  if (status === undefined) return { is: "wrong", how: "no response" };
  if (status >= 400) return readRefusal(body);
  const { items, tail, torn } = readSse(body);
  if (torn || tail !== undefined) return { is: "wrong", how: "the client got half an event" };
  const events: SseEvent[] = [];
  for (const item of items) {
    if ("odd" in item) return { is: "wrong", how: `the client got ${item.odd}` };
    if (item.data === undefined) return { is: "wrong", how: "the client got a name without data" };
    if (dialect === "messages" && hidesItsType(item)) return { is: "wrong", how: "the client got an event that its SDK drops" };
    events.push(item);
  }
  const errorAt = events.findIndex(({ data }) => codeIn(data) !== undefined);
  if (errorAt !== -1) {
    if (errorAt !== events.length - 1) return { is: "wrong", how: "something follows the error event" };
    const code = codeIn(events[errorAt]?.data ?? "") ?? "";
    return { is: "interrupted", kept: events.slice(0, -1).map(({ data }) => data), code };
  }
  if (end !== "clean") return { is: "wrong", how: "a cut without an error event" };
  const kept = events.map(({ data }) => data);
  const terminator = { chat: "[DONE]", completions: "[DONE]", messages: '{"type":"message_stop"}' }[dialect as string];
  if (terminator === undefined) return { is: "whole", kept };
  if (kept.pop() !== terminator) return { is: "wrong", how: "a silent truncation: no terminator" };
  return { is: "whole", kept };
}

/** The SDKs go by the name: one that they do not know hides a part of the message from them. */
function hidesItsType({ event, data }: SseEvent): boolean {
  const [, type = ""] = /^\{"type":"(\w+)"/.exec(data) ?? [];
  return (
    /^(?:message_(?:start|delta|stop)|content_block_(?:start|delta|stop))$/.test(type) &&
    !/^(?:message|content_block)_/.test(event ?? "")
  );
}

function readRefusal(body: Buffer): Claim {
  try {
    if (isObject(JSON.parse(body.toString("utf8")))) return { is: "refused" };
  } catch {
    // Said below.
  }
  return { is: "wrong", how: "an HTTP error without JSON" };
}

const CODES = /^(upstream_|stream_|empty_stream|first_token_timeout|deadline_exceeded|internal_error|overloaded)/;

/** The code of an error event of Perennial's. */
function codeIn(data: string): string | undefined {
  if (!data.includes('"error"')) return undefined;
  try {
    const json: unknown = JSON.parse(data);
    const { error } = isObject(json) ? (isObject(json.response) && isObject(json.response.error) ? json.response : json) : {};
    const code = isObject(error) ? error.code : undefined;
    return typeof code === "string" && CODES.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}
