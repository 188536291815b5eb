/** Compressed request bodies, decoded so that they can be read: Codex sends zstd, others gzip. What is sent on is up to the caller. */
import { promisify } from "node:util";
import zlib from "node:zlib";
import { Failure } from "../core/failure.ts";

type Decode = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const decodeDeflate: Decode = async (bytes, options) => {
  // Some mean the bare stream by this name, and not the one with a head and a checksum (RFC 9110 §8.4.1.2).
  const hasHead = bytes.length >= 2 && ((bytes[0] as number) & 15) === 8 && bytes.readUInt16BE(0) % 31 === 0;
  return hasHead ? promisify(zlib.inflate)(bytes, options) : promisify(zlib.inflateRaw)(bytes, options);
};

const DECODERS = new Map<string, Decode>([
  ["gzip", promisify(zlib.gunzip) as Decode],
  ["x-gzip", promisify(zlib.gunzip) as Decode],
  ["deflate", decodeDeflate],
  ["br", promisify(zlib.brotliDecompress) as Decode],
  // Not in Node 23 before 23.8.
  ...(zlib.zstdDecompress === undefined ? [] : [["zstd", promisify(zlib.zstdDecompress) as Decode] as const]),
]);
/** One inside the other. Real requests have one; each multiplies what a few bytes can unfold to. */
const MAX_CODINGS = 2;

/**
 * The body in plain bytes; undefined when it is plain as it is.
 * @param maxBytes `limits.maxBodyBytes`, which bounds what it unfolds to as well.
 * @throws Failure `body_too_large`, or `invalid_request` for a coding that is not known (415) and for bytes that are not what it says.
 */
export async function decodeBody(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer | undefined> {
  const codings = codingsIn(encoding);
  if (codings.length === 0 || body.length === 0) return undefined;
  if (codings.length > MAX_CODINGS || !codings.every((coding) => DECODERS.has(coding))) {
    throw new Failure(
      "invalid_request",
      "The request body's content-encoding is not known here: send gzip, deflate, br, zstd, or nothing.",
      { status: 415 },
    );
  }
  let plain = body;
  // They are named in the order in which they were applied.
  for (const coding of codings.reverse()) plain = await decode(plain, coding, maxBytes);
  return plain;
}

function codingsIn(encoding = ""): string[] {
  return encoding
    .split(",")
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
}

async function decode(bytes: Buffer, coding: string, maxBytes: number): Promise<Buffer> {
  try {
    return await (DECODERS.get(coding) as Decode)(bytes, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw new Failure("body_too_large", "The request body is larger, once decompressed, than limits.maxBodyBytes allows.");
    }
    throw new Failure("invalid_request", `The request body is not what its content-encoding says (${coding}).`, { cause });
  }
}
