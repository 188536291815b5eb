/**
 * Server-sent events as the WHATWG standard has them, read strictly: whatever is not quite an event is named. Shares no code with src/,
 * since it is to find where that is wrong.
 */

export interface SseEvent {
  readonly event: string | undefined;
  readonly data: string;
}

/** What a body holds, in order: events, and names of what does not belong there. */
export type Item = SseEvent | { readonly odd: string } | NameAlone;

export interface NameAlone {
  readonly event: string;
  readonly data: undefined;
}

export interface SseBody {
  readonly items: readonly Item[];
  /** An event at the end that lacks its blank line. */
  readonly tail: SseEvent | undefined;
  /** Something stands behind the last blank line. */
  readonly torn: boolean;
}

/** The terminator, whole, and without the name of its field. */
export const BARE_DONE = "a bare [DONE] on a line that is no event";

const LF = 0x0a;
const CR = 0x0d;

function decode(bytes: Buffer, isLast: boolean): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isLast });
  } catch {
    return undefined;
  }
}

/** @returns each line, and whether its end has come. */
function* linesOf(bytes: Buffer): Generator<{ line: Buffer; ended: boolean }> {
  let start = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== LF && bytes[i] !== CR) continue;
    yield { line: bytes.subarray(start, i), ended: true };
    if (bytes[i] === CR && bytes[i + 1] === LF) i++;
    start = i + 1;
  }
  if (start < bytes.length) yield { line: bytes.subarray(start), ended: false };
}

/** A line that is no field: what has been lost, or who speaks there? */
function nameOf(line: string): string {
  if (line.startsWith("error:")) return "an error on a line of its own";
  if (/^\s*(?:data\s*:)?\s*\[DONE\]\s*$/i.test(line)) return BARE_DONE;
  // Or what is left of it.
  if (/^[^{}"]*\[DONE\]\s*$|^(?:data: ?|ata: ?|ta: ?|a: ?|: ?| )?(?:DONE|ONE|NE|E)?\]\s*$/.test(line))
    return "[DONE] on a line that is no event";
  // A letter of the name may have been changed with the rest left whole.
  const said = line.replace(/^\s*(?:data: ?)?/i, "");
  if (/^\{.*\}$/.test(said) && oddComment(`:${said}`) === "JSON in a comment") return "words on a line that is no event";
  return /^[{}\]]|\}\s*,?\s*$|[\w"]"\s*:|",?\s*$/.test(line.replace(/^\s*(?:data: ?)?/, ""))
    ? "debris of JSON on a line that is no event"
    : "words on a line that is no event";
}

/** A comment, unless it is words. */
function oddComment(text: string): string | undefined {
  const said = text
    .slice(1)
    .trim()
    .replace(/^data:\s*/, "");
  if (!/\}\s*,?$/.test(said)) return undefined;
  try {
    const value: unknown = JSON.parse(said);
    const holds = (key: string): boolean => typeof value === "object" && value !== null && key in value;
    const isPiece = [
      "choices",
      "delta",
      "text",
      "answer",
      "message_id",
      "content_block",
      "sequence_number",
      "message",
      "error",
    ].some(holds);
    return isPiece ? "an event that has become a comment" : "JSON in a comment";
  } catch {
    return "debris of JSON in a comment";
  }
}

/** The data without field names that stand before JSON. */
function withoutFieldNames(data: string): string {
  return /^data:/.test(data) ? data.replace(/^(?:data:\s*)+(?=[{[])/, "").trimEnd() : data;
}

export function readSse(bytes: Buffer): SseBody {
  const items: Item[] = [];
  let event: string | undefined;
  let data: string[] = [];
  let torn = false;
  const hasBom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  for (const { line, ended } of linesOf(hasBom ? bytes.subarray(3) : bytes)) {
    const text = decode(line, !ended);
    if (text === undefined) {
      items.push({ odd: "bytes that are not UTF-8" });
      return { items, tail: undefined, torn: true };
    }
    torn = text !== "";
    if (text === "") {
      if (data.length > 0) items.push(...eventOf(event, data));
      else if (event !== undefined) items.push({ event, data: undefined });
      event = undefined;
      data = [];
      continue;
    }
    if (text.startsWith(":")) {
      const odd = ended ? oddComment(text) : undefined;
      if (odd !== undefined) items.push({ odd });
      continue;
    }
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(text) ?? [];
    if (name === "data") data.push(value);
    else if (name === "event") event = value === "" ? undefined : value;
    else if (name !== "id" && name !== "retry") items.push({ odd: ended ? nameOf(text) : "a line that is cut" });
  }
  // Half a line end at the end of a stream is a cut as well.
  if (bytes.subarray(-3).toString("latin1") === "\r\n\r") torn = true;
  const [tail] = data.length > 0 ? eventOf(event, data).slice(-1) : [];
  return { items, tail: tail !== undefined && "event" in tail && tail.data !== undefined ? tail : undefined, torn };
}

function eventOf(event: string | undefined, lines: readonly string[]): Item[] {
  const text = lines.join("\n");
  const data = withoutFieldNames(text);
  return [...(data === text ? [] : [{ odd: "a field name twice" }]), { event, data }];
}
