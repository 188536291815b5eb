/** The text of an answer that is kept, as far as it has come. */
import type { Api } from "../core/exchange.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { KeptEnd } from "./kept-answer.ts";

/** @returns undefined for what is no one text: several choices, vectors. */
export function textOf(
  { dialect, request }: Api,
  kept: readonly { readonly event: StreamEvent }[],
  end: KeptEnd | undefined,
): string | undefined {
  const events =
    end?.kind === "answered" && end.result.kind === "reply"
      ? dialect.answerToEvents(parse(end.result.body), request)
      : kept.map(({ event }) => event);
  return events && readText(dialect, events);
}

function readText({ readText, continuing }: Api["dialect"], events: readonly StreamEvent[]): string | undefined {
  if (readText !== undefined) return events.map(readText).join("");
  const record = continuing?.record();
  for (const event of events) record?.add(event);
  return record?.obstacles.has("choices") || record?.obstacles.has("too-long") ? undefined : record?.text;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
