import zlib from "node:zlib";
import { expect, it } from "vitest";
import { decodeBody } from "./request-encoding.ts";

const PLAIN = Buffer.from('{"model":"m"}');
const gzip = zlib.gzipSync(PLAIN);

it.each<[string, Buffer]>([
  ["gzip", gzip],
  ["X-GZip", gzip],
  ["deflate", zlib.deflateSync(PLAIN)],
  ["deflate", zlib.deflateRawSync(PLAIN)],
  ["br", zlib.brotliCompressSync(PLAIN)],
  ["zstd", zlib.zstdCompressSync(PLAIN)],
  [" identity , gzip ,", gzip],
  // In the order in which they were applied.
  ["br, gzip", zlib.gzipSync(zlib.brotliCompressSync(PLAIN))],
])("unfolds %s", async (encoding, body) => {
  expect(await decodeBody(body, encoding, 99)).toEqual(PLAIN);
});

it.each([undefined, "", "identity", " , Identity "])("leaves what is plain as it is: %j", async (encoding) => {
  expect(await decodeBody(PLAIN, encoding, 1)).toBeUndefined();
});

it("unfolds what is as large as it may be", async () => {
  expect(await decodeBody(gzip, "gzip", PLAIN.length)).toEqual(PLAIN);
});

it("says nothing of a body that is not there", async () => {
  expect(await decodeBody(Buffer.alloc(0), "unheard-of", 1)).toBeUndefined();
});

const UNKNOWN = [
  "invalid_request",
  415,
  "The request body's content-encoding is not known here: send gzip, deflate, br, zstd, or nothing.",
];
const LARGE = ["body_too_large", 413, "The request body is larger, once decompressed, than limits.maxBodyBytes allows."];
const BROKEN = (coding: string): unknown[] => [
  "invalid_request",
  400,
  `The request body is not what its content-encoding says (${coding}).`,
];

it.each<[string, string, Buffer, number, unknown[]]>([
  ["a coding that nobody knows", "compress", gzip, 99, UNKNOWN],
  ["one among others", "compress, gzip", gzip, 99, UNKNOWN],
  ["more codings than anybody needs", "gzip, gzip, gzip", gzip, 99, UNKNOWN],
  ["what unfolds to more than there may be", "gzip", gzip, PLAIN.length - 1, LARGE],
  ["what is not as it says", "gzip", PLAIN, 99, BROKEN("gzip")],
  ["what is cut off", "deflate", zlib.deflateSync(PLAIN).subarray(0, -1), 99, BROKEN("deflate")],
  ["a single byte", "deflate", Buffer.from([0x78]), 99, BROKEN("deflate")],
  ["what is wrong within", "br, gzip", gzip, 99, BROKEN("br")],
])("refuses %s", async (_which, encoding, body, maxBytes, expected) => {
  const refusal = await decodeBody(body, encoding, maxBytes).catch((thrown) => thrown);
  expect([refusal.code, refusal.status, refusal.message]).toEqual(expected);
});
