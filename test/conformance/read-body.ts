/** What a body says, as the client of a stream or of a plain answer reads it: up to the first error, tear or terminator. */
import { constants, gunzipSync } from "node:zlib";
import { type Answer, addChoices, emptyAnswer, isObject } from "./answer.ts";
import type { Dialect } from "./dialects.ts";
import { readEvents } from "./events.ts";
import { addMessage, addResponse, type ReadEvent, readMessageEvent, readResponseEvent } from "./read-responses.ts";

export interface ReadBody {
  readonly answer: Answer;
  /** The terminator came, or the JSON was complete. */
  readonly ended: boolean;
  /** A truthy top-level `error`: the shape on which clients raise. */
  readonly error: unknown;
  /** What should have been JSON and is not. */
  readonly torn: string | undefined;
  /** What breaks the wire format although most clients put up with it. */
  readonly flaws: readonly string[];
}

/** Bytes as text, as `fetch` and `httpx` decode them: no byte order mark, U+FFFD for what is not UTF-8. */
export function decodeBody(body: Buffer, contentEncoding: unknown): string {
  // A body that was cut decompresses as far as it goes.
  const bytes = contentEncoding === "gzip" ? gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH }) : body;
  return new TextDecoder().decode(bytes);
}

/** How each API's clients read one event, and a whole answer. The terminator of the older two is no JSON. */
const READERS: Readonly<
  Record<Dialect, { event(answer: Answer, json: object): ReadEvent; whole(answer: Answer, json: unknown): void }>
> = {
  chat: { event: readChoices, whole: addChoices },
  completions: { event: readChoices, whole: addChoices },
  responses: { event: (answer, json) => readResponseEvent(answer, json as Record<string, unknown>), whole: addResponse },
  messages: { event: (answer, json) => readMessageEvent(answer, json as Record<string, unknown>), whole: addMessage },
};
const NAMED_EVENTS: ReadonlySet<Dialect> = new Set(["responses", "messages"]);

function readChoices(answer: Answer, json: object): ReadEvent {
  const { error } = json as { error?: unknown };
  if (error) return { error };
  addChoices(answer, json);
  return {};
}

export function readStreamBody(text: string, dialect: Dialect = "chat"): ReadBody {
  const answer = emptyAnswer();
  const { data, fields, unfinished } = readEvents(text);
  const flaws: string[] = [];
  if (unfinished.trim() !== "") flaws.push("ends in the middle of an event");
  for (const name of fields)
    if (name !== "data" && !(name === "event" && NAMED_EVENTS.has(dialect))) flaws.push(`has a line "${name.slice(0, 20)}:"`);
  const read = (end: Partial<ReadBody>, at: number): ReadBody => {
    if (at < data.length - 1) flaws.push("goes on after its end");
    return { answer, ended: false, error: undefined, torn: undefined, flaws, ...end };
  };
  for (const [at, item] of data.entries()) {
    if (item.startsWith("[DONE]") && !NAMED_EVENTS.has(dialect)) return read({ ended: true }, at);
    const json = parse(item);
    if (!isObject(json)) return read({ torn: item }, at);
    const { ended, error } = READERS[dialect].event(answer, json);
    if (error) return read({ error }, at);
    if (ended) return read({ ended: true }, at);
  }
  return read({}, data.length);
}

export function readJsonBody(text: string, dialect: Dialect = "chat"): ReadBody {
  const answer = emptyAnswer();
  const json = parse(text);
  READERS[dialect].whole(answer, json);
  return {
    answer,
    ended: json !== undefined,
    error: isObject(json) ? json.error || undefined : undefined,
    torn: json === undefined ? text : undefined,
    flaws: [],
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
