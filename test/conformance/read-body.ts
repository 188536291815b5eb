/** What a body says, as the client of a stream or of a plain answer reads it: up to the first error, tear or terminator. */
import { constants, gunzipSync } from "node:zlib";
import { type Answer, addChoices, emptyAnswer, isObject } from "./answer.ts";
import { readEvents } from "./events.ts";

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

export function readStreamBody(text: string): ReadBody {
  const answer = emptyAnswer();
  const { data, fields, unfinished } = readEvents(text);
  const flaws: string[] = [];
  if (unfinished.trim() !== "") flaws.push("ends in the middle of an event");
  for (const name of fields) if (name !== "data") flaws.push(`has a line "${name.slice(0, 20)}:"`);
  const read = (end: Partial<ReadBody>, at: number): ReadBody => {
    if (at < data.length - 1) flaws.push("goes on after its end");
    return { answer, ended: false, error: undefined, torn: undefined, flaws, ...end };
  };
  for (const [at, item] of data.entries()) {
    if (item.startsWith("[DONE]")) return read({ ended: true }, at);
    const json = parse(item);
    if (!isObject(json)) return read({ torn: item }, at);
    if (json.error) return read({ error: json.error }, at);
    addChoices(answer, json);
  }
  return read({}, data.length);
}

export function readJsonBody(text: string): ReadBody {
  const answer = emptyAnswer();
  const json = parse(text);
  addChoices(answer, json);
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
