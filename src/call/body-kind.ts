/** What a body is, by its first bytes: labels lie, and bodies do not. */

/** `page`: markup, which is no answer. `other`: none of them, so that the label decides. */
export type BodyKind = "stream" | "json" | "page" | "other";

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** How much of a body decides, behind what is blank. */
const LONGEST_WORD = "event:".length;
/** `error:` is no field of SSE, but a server's way to report in one. */
const FIELDS = ["data", "event", "id", "retry", "error"];
const JSON_WORDS = ["null", "true", "false"];
const FIELD = new RegExp(`^(?:${FIELDS.join("|")})[:\\r\\n]`);

/** @returns undefined while more bytes are needed: there are none yet, or blank ones, or the beginning of a word. */
export function bodyKindOf(start: Buffer): BodyKind | undefined {
  const mark = start.subarray(0, BYTE_ORDER_MARK.length);
  const hasMark = mark.length > 0 && BYTE_ORDER_MARK.subarray(0, mark.length).equals(mark);
  if (hasMark && mark.length < BYTE_ORDER_MARK.length) return undefined;
  let at = hasMark ? BYTE_ORDER_MARK.length : 0;
  while (at < start.length && isBlank(start[at] as number)) at++;
  const text = start.toString("latin1", at, at + LONGEST_WORD);
  if (text === "") return undefined;
  if (text.startsWith("<")) return "page";
  if (text.startsWith(":") || FIELD.test(text)) return "stream";
  if (/^[[{"\d-]/.test(text) || JSON_WORDS.some((word) => text.startsWith(word))) return "json";
  return [...FIELDS, ...JSON_WORDS].some((word) => word.startsWith(text)) ? undefined : "other";
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
