/**
 * Events in the one form that nearly all servers write: `data: {…}` on one line, perhaps an `event:` line before it, line feeds, a
 * blank line. They are found by bytes, and no text is made of them before somebody wants to read it.
 *
 * Why what is found here is what the parser would find. It begins where a blank line of two line feeds has just ended an event, so
 * that neither the parser nor the text decoder holds anything back. In the bytes there is no carriage return and all is valid UTF-8,
 * so that a line ends at each line feed and nowhere else. Each block has one `data:` line, at most one `event:` line before it, and
 * nothing else; whatever differs, by as little as one space, is left to the parser.
 */
import { isUtf8 } from "node:buffer";
import type { StreamEvent } from "../core/stream-event.ts";

/** A switch for tests: all that holds of streams must hold without this file as well. */
export const plainEvents = { areOn: true };

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BLANK_LINE = Buffer.from("\n\n");
const DATA = Buffer.from("data: {");
const EVENT = Buffer.from("event: ");
/** The names that are in use; others are the parser's. */
const NAME = /^[\w.-]+$/;

/** An event that has kept its bytes. A copy with other data, `{ ...event, data }`, has lost them: they are read from the prototype. */
class PlainEvent implements StreamEvent {
  readonly event: string | undefined;
  characters: number | undefined = undefined;
  readonly #bytes: Buffer;
  /** Where the data begins in the bytes. */
  readonly #dataAt: number;
  #data: string | undefined;

  constructor(bytes: Buffer, name: string | undefined, dataAt: number) {
    this.#bytes = bytes;
    this.event = name;
    this.#dataAt = dataAt;
  }

  get data(): string {
    this.#data ??= this.#bytes.toString("utf8", this.#dataAt, this.#bytes.length - BLANK_LINE.length);
    return this.#data as string;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }
}

/** @returns where the first event ends for certain; the end of the chunk where none does. */
export function endOfEvent(chunk: Buffer): number {
  const at = chunk.indexOf(BLANK_LINE);
  return at === -1 ? chunk.length : at + BLANK_LINE.length;
}

/** Whether behind these bytes nothing is held back, if they are valid UTF-8. */
export function endsEvent(bytes: Buffer): boolean {
  return bytes[bytes.length - 1] === LINE_FEED && bytes[bytes.length - 2] === LINE_FEED;
}

/**
 * Hands over the plain events from `from` on, as far as they go.
 * @returns where the first bytes are that are none.
 */
export function readPlainEvents(chunk: Buffer, from: number, maxBytes: number, onEvent: (event: StreamEvent) => void): number {
  const last = endsEvent(chunk) ? chunk.length : chunk.lastIndexOf(BLANK_LINE) + BLANK_LINE.length;
  if (last <= from || !isPlainText(from === 0 && last === chunk.length ? chunk : chunk.subarray(from, last))) return from;
  let at = from;
  while (at < last) {
    let dataAt = at;
    let name: string | undefined;
    if (begins(chunk, EVENT, at)) {
      const end = chunk.indexOf(LINE_FEED, at);
      name = chunk.toString("latin1", at + EVENT.length, end);
      if (!NAME.test(name)) return at;
      dataAt = end + 1;
    }
    if (!begins(chunk, DATA, dataAt)) return at;
    const end = chunk.indexOf(LINE_FEED, dataAt);
    if (chunk[end + 1] !== LINE_FEED || end - dataAt > maxBytes) return at;
    const next = end + BLANK_LINE.length;
    const bytes = at === 0 && next === chunk.length ? chunk : chunk.subarray(at, next);
    onEvent(new PlainEvent(bytes, name, dataAt - at + DATA.length - 1));
    at = next;
  }
  return at;
}

function isPlainText(bytes: Buffer): boolean {
  return bytes.indexOf(CARRIAGE_RETURN) === -1 && isUtf8(bytes);
}

function begins(chunk: Buffer, word: Buffer, at: number): boolean {
  for (let i = 0; i < word.length; i++) if (chunk[at + i] !== word[i]) return false;
  return true;
}
