/**
 * Parses the events of one stream. Nearly all of them differ from the one before in a piece of text, and perhaps in a number: the
 * bytes around are compared with those of an event that was parsed, and only what is between them is read.
 *
 * Why the value is the one that JSON.parse would give. A lesson is parsed a second time with a nonce in each of its gaps, and each
 * nonce must come out at one place of the value. So the bytes before a gap lead JSON's grammar into that place, whatever fills the
 * gap, as long as it ends where the gap ends: a string's inside up to its quote, or digits that do not begin with a zero. Then only the
 * values at those places can be others. All else is parsed.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { StreamEvent } from "../core/stream-event.ts";
import { isObject, type JsonObject, parseObject, parseValue } from "./json.ts";

/** Where dialects write what changes with each event. A field of another name costs a parse, and nothing else. */
const FIELDS: ReadonlySet<string> = new Set([
  ...["content", "reasoning_content", "reasoning", "text", "thinking", "delta", "partial_json", "arguments"],
  ...["obfuscation", "sequence_number", "created"],
]);

/** Servers whose events are never alike shall not be learned from for ever. */
const MOST_LESSONS = 8;
/** The first events are like no other, and of a short answer there are no more. */
const NOT_LEARNED_FROM = 6;
/** In a longer event the parts that are alike are the smaller ones, and reading is what costs. */
const LONGEST_BYTES = 4_096;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
/** Below 2^53, whatever the digits. */
const MOST_DIGITS = 15;

interface Gap {
  readonly kind: "text" | "number";
  /** Where its value stands. */
  readonly holder: JsonObject;
  readonly key: string;
  /** The bytes behind it, up to the next gap or to the end. */
  readonly behind: Buffer;
}

interface Template {
  readonly value: JsonObject;
  readonly head: Buffer;
  readonly gaps: readonly Gap[];
}

export class EventTemplate {
  #template: Template | undefined;
  #parsed = 0;

  /**
   * @returns the event's data where it is like that of an event that was parsed, or undefined. The same object each time, which the
   * caller must neither keep nor change.
   */
  match({ bytes }: StreamEvent): JsonObject | undefined {
    const template = this.#template;
    if (template === undefined || bytes === undefined) return undefined;
    return startsWith(bytes, template.head, 0) && fill(template.gaps, bytes, template.head.length) ? template.value : undefined;
  }

  /** Parses an event that is like none before. @returns undefined for what is no JSON object. */
  parse(event: StreamEvent): JsonObject | undefined {
    const json = parseObject(event.data);
    const { bytes } = event;
    if (json === undefined || bytes === undefined || bytes.length > LONGEST_BYTES) return json;
    this.#parsed++;
    const isLesson = this.#parsed > NOT_LEARNED_FROM && this.#parsed <= NOT_LEARNED_FROM + MOST_LESSONS;
    if (isLesson) this.#template = learn(bytes, event.data) ?? this.#template;
    return json;
  }
}

function fill(gaps: readonly Gap[], bytes: Buffer, from: number): boolean {
  let at = from;
  for (const gap of gaps) {
    // A match that fails further on leaves a value that is no event's, until the next one that fits fills all of them.
    const end = gap.kind === "text" ? fillText(gap, bytes, at) : fillNumber(gap, bytes, at);
    if (end === -1 || !startsWith(bytes, gap.behind, end)) return false;
    at = end + gap.behind.length;
  }
  return at === bytes.length;
}

/** @returns where the quote is that ends the string, or -1 where it is none. */
function fillText({ holder, key }: Gap, bytes: Buffer, from: number): number {
  let isPlain = true;
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) break;
    if (byte >= SPACE && byte !== BACKSLASH) continue;
    isPlain = false;
    if (byte === BACKSLASH) at++;
  }
  if (at >= bytes.length) return -1;
  const value = isPlain ? bytes.toString("utf8", from, at) : parseValue(bytes.toString("utf8", from - 1, at + 1));
  if (value === undefined) return -1;
  holder[key] = value;
  return at;
}

/** @returns where its digits end, or -1. */
function fillNumber({ holder, key }: Gap, bytes: Buffer, from: number): number {
  let value = 0;
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte < ZERO || byte > NINE) break;
    value = value * 10 + (byte - ZERO);
  }
  const digits = at - from;
  if (digits === 0 || digits > MOST_DIGITS || (bytes[from] === ZERO && digits > 1)) return -1;
  holder[key] = value;
  return at;
}

function startsWith(bytes: Buffer, part: Buffer, at: number): boolean {
  return at + part.length <= bytes.length && part.compare(bytes, at, at + part.length) === 0;
}

/** A place in the text of an event whose value may be another in the next. */
interface Place {
  readonly kind: Gap["kind"];
  readonly from: number;
  readonly to: number;
}

const PLACE = /"((?:[^"\\]|\\.)*)"\s*(?::\s*(?:(0|[1-9]\d*)(?=\s*[,}])|"((?:[^"\\]|\\.)*)")?)?/g;

/** @param data the text of its data, which ends before the blank line. @returns undefined where nothing can be learned. */
function learn(bytes: Buffer, data: string): Template | undefined {
  const places = placesIn(data);
  if (places.length === 0) return undefined;
  const before = bytes.length - Buffer.byteLength(data) - 2;
  let asked = "";
  let at = 0;
  const parts: Buffer[] = [];
  for (const [i, { kind, from, to }] of places.entries()) {
    const part = data.slice(at, from);
    parts.push(Buffer.from(part));
    asked += part + nonceOf(kind, i);
    at = to;
  }
  const rest = data.slice(at);
  parts.push(Buffer.from(`${rest}\n\n`));
  const value = parseObject(asked + rest);
  if (value === undefined) return undefined;
  const gaps: Gap[] = [];
  for (const [i, { kind }] of places.entries()) {
    const [found, ...others] = holdersOf(value, nonceOf(kind, i, true));
    if (found === undefined || others.length > 0) return undefined;
    gaps.push({ kind, ...found, behind: parts[i + 1] as Buffer });
  }
  return { value, head: Buffer.concat([bytes.subarray(0, before), parts[0] as Buffer]), gaps };
}

function placesIn(data: string): Place[] {
  const places: Place[] = [];
  for (const match of data.matchAll(PLACE)) {
    const [all, key = "", number, text] = match;
    if (!FIELDS.has(key)) continue;
    const end = match.index + all.length;
    if (number !== undefined) places.push({ kind: "number", from: end - number.length, to: end });
    else if (text !== undefined) places.push({ kind: "text", from: end - 1 - text.length, to: end - 1 });
  }
  return places;
}

/** Known to nobody: an event that says one of them itself could have it found at the wrong place, where a key that comes twice hides the right one. */
const NONCES = { text: randomUUID(), number: randomInt(2 ** 46, 2 ** 47) };

/** In the form in which it is written, or `asValue` in the form in which it is read. */
function nonceOf(kind: Gap["kind"], i: number, asValue?: true): string | number {
  if (kind === "text") return `${NONCES.text} ${i}`;
  return asValue ? NONCES.number + i : String(NONCES.number + i);
}

function holdersOf(value: unknown, nonce: string | number): Pick<Gap, "holder" | "key">[] {
  if (Array.isArray(value)) return value.flatMap((element) => holdersOf(element, nonce));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => (inner === nonce ? [{ holder: value, key }] : holdersOf(inner, nonce)));
}
