/**
 * Masks what is nobody else's business in captured bytes. Every byte stays in its place, so that lengths, chunks and the reads they came
 * in remain what they were, and so does the failure.
 */

export interface MaskOptions {
  /** What the client presented: it is looked for everywhere. */
  readonly secrets: readonly string[];
  /** Also what was asked and answered. */
  readonly texts: boolean;
}

const SECRET_HEADERS =
  /^((?:set-cookie|cookie|authorization|[\w-]*(?:api-key|token|secret|organization|project))[ \t]*:[ \t]*)([^\r\n]+)/gim;
/** Keys as providers write them, and what stands behind `Bearer`. */
const KEYS = /\b(?:sk|gsk|xai|hf)[-_][A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{20,}|(?<=\bBearer )[A-Za-z0-9._~+/=-]{8,}/g;
/** Where the APIs put words of people and of models, also what they say again of the request: one text, or a list of them. */
const TEXTS =
  /"(?:content|text|refusal|reasoning|reasoning_content|thinking|signature|delta|arguments|partial_json|input|instructions|prompt|suffix|query|answer|docs|response|output|result|results|logs|quote|cited_text|title|description|transcript|queries|token)"\s*:\s*(?:"(?:[^"\\]|\\.)*|\[\s*"(?:[^"\\]|\\.)*"?(?:\s*,\s*"(?:[^"\\]|\\.)*"?)*)/gs;
/** Of such a place: what stands before its first text, and each text. */
const BEFORE_TEXT = /^"\w+"\s*:\s*/;
const EACH_TEXT = /"((?:[^"\\]|\\.)*)("?)/gs;

/** @param bytes of one connection, from the status line on, as Latin-1 would read them. */
export function maskResponse(bytes: Buffer, { secrets, texts }: MaskOptions): Buffer {
  const headEnd = bytes.indexOf("\r\n\r\n");
  const head = headEnd === -1 ? bytes : bytes.subarray(0, headEnd + 4);
  const maskedHead = latin1(head).replace(SECRET_HEADERS, (_, name: string, value: string) => name + hide(value));
  const masked = Buffer.concat([Buffer.from(maskSecrets(maskedHead, secrets), "latin1"), bytes.subarray(head.length)]);
  // A word that is spread over two chunks has the size of the second in it: what is masked is the body without them.
  const places = bodyPlaces(masked, head.length, /^transfer-encoding:.*chunked/im.test(maskedHead));
  const body = latin1(Buffer.concat(places.map(([from, to]) => masked.subarray(from, to))));
  const plain = maskSecrets(texts ? maskTexts(body) : body, secrets);
  let at = 0;
  for (const [from, to] of places) {
    masked.write(plain.slice(at, at + to - from), from, "latin1");
    at += to - from;
  }
  return masked;
}

/** A request's JSON: all that its author may have written, but for the words of the API. */
export function maskRequest(value: unknown, { secrets, texts }: MaskOptions, key = ""): unknown {
  if (typeof value === "string") {
    const plain = maskSecrets(value, secrets);
    return texts && !API_WORDS.has(key) ? plain.replace(/[\p{L}\p{N}]/gu, "x") : plain;
  }
  if (Array.isArray(value)) return value.map((item) => maskRequest(item, { secrets, texts }, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskRequest(inner, { secrets, texts }, name)]));
}

const API_WORDS: ReadonlySet<string> = new Set([
  "role",
  "type",
  "id",
  "tool_call_id",
  "call_id",
  "status",
  "effort",
  "format",
  "object",
]);

/** Where the body's bytes are: all behind the head, or the insides of the chunks, also of one that was cut. */
function bodyPlaces(bytes: Buffer, from: number, isChunked: boolean): [from: number, to: number][] {
  if (!isChunked) return [[from, bytes.length]];
  const places: [number, number][] = [];
  for (let at = from; at < bytes.length; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(latin1(bytes.subarray(at, lineEnd)), 16);
    if (!(size > 0)) {
      // The last chunk, or bytes that are no chunk: these are shown to nobody either.
      if (Number.isNaN(size)) places.push([at, bytes.length]);
      break;
    }
    places.push([lineEnd + 2, Math.min(lineEnd + 2 + size, bytes.length)]);
    at = lineEnd + 2 + size + 2;
  }
  return places;
}

function maskSecrets(text: string, secrets: readonly string[]): string {
  let plain = text.replace(KEYS, hide);
  for (const secret of secrets) if (secret.length >= 6) plain = plain.replaceAll(secret, hide(secret));
  return plain;
}

function maskTexts(body: string): string {
  return body.replace(TEXTS, (all) => {
    const [before = ""] = BEFORE_TEXT.exec(all) ?? [];
    return before + all.slice(before.length).replace(EACH_TEXT, (_, words: string, end: string) => `"${hideWords(words)}${end}`);
  });
}

/** Words become as many x and 1. Escapes, white space, punctuation and bytes that are no UTF-8 stay: a failure may hang on them. */
function hideWords(text: string): string {
  return text.replace(
    /\\u[0-9A-Fa-f]{4}|\\.|\b(?:true|false|null)\b|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[A-Za-z0-9]/gs,
    (part) => {
      if (/^\\u/.test(part)) return "\\u0078";
      if (part.startsWith("\\") || part === "true" || part === "false" || part === "null") return part;
      return /^\d$/.test(part) ? "1" : "x".repeat(part.length);
    },
  );
}

function hide(text: string): string {
  return "x".repeat(text.length);
}

function latin1(bytes: Buffer): string {
  return bytes.toString("latin1");
}
