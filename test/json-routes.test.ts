/** Requests that are answered with one JSON document, and change nothing: tried again until the document is whole. */
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";
import { type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { jsonReply, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

const VECTOR = JSON.stringify({ object: "list", data: [{ object: "embedding", index: 0, embedding: [0.5, -1e-9] }], model: "e" });
const CUT = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"object":';

/** Answers the requests in order, the last one again and again; what is cut is closed. */
async function serve(answers: readonly string[], settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream((socket, { number }) => {
    const answer = answers[Math.min(number, answers.length) - 1] ?? "";
    if (answer === CUT || answer === "") socket.end(answer);
    else socket.write(answer);
  });
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const post = (path: string, body = '{"model":"e","input":"hello"}', base = perennial.baseUrl): Promise<Seen> =>
  send(base + path, { method: "POST", headers: { "content-type": "application/json" }, body });

const BROKEN = {
  "a connection that closes": "",
  "an answer that is cut": CUT,
  "half a document with a clean end": jsonReply('{"object":"list","data":[{"emb'),
  "a 503": jsonReply("{}", "503 Busy"),
  "an error inside": jsonReply('{"error":{"message":"CUDA out of memory","code":500}}'),
  null: jsonReply("null"),
  nothing: jsonReply(""),
  "a page": "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
};

test.each(Object.entries(BROKEN))("embeddings come whole after %s", async (_name, answer) => {
  await serve([answer, jsonReply(VECTOR)]);
  expect(await post("/embeddings")).toMatchObject({ status: 200, body: VECTOR, headers: { "x-perennial-attempts": "2" } });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered", dialect: "json", model: "e" });
});

test.each([
  "/embeddings",
  "/rerank",
  "/score",
  "/moderations",
  "/tokenize",
  "/detokenize",
  "/messages/count_tokens",
  "/responses/input_tokens",
])("%s is tried again", async (path) => {
  await serve([CUT, jsonReply("[1]")]);
  expect(await post(path)).toMatchObject({ status: 200, body: "[1]" });
});

test.each(["/v1/embeddings", "/other/embed_texts", "/knowledge_base/search_docs", "/v1/rerank"])(
  "what Chatchat's knowledge bases live on is tried again (%s)",
  async (path) => {
    await serve(
      [CUT, jsonReply('{"code":500,"msg":"文档向量化失败","data":null}'), jsonReply('{"code":200,"msg":"success","data":[[1]]}')],
      {
        upstream: { profile: "chatchat" },
      },
    );
    const seen = await post(path, '{"texts":["你好"]}', perennial.url);
    expect(seen).toMatchObject({ status: 200, body: '{"code":200,"msg":"success","data":[[1]]}' });
  },
);

test("the upstream gets the client's own bytes", async () => {
  const body = '{ "model":"e",  "input":"细水长流", "seed":12345678901234567890, "stream":true }';
  await serve([jsonReply(VECTOR)]);
  await post("/embeddings", body);
  expect(upstream.requests[0]?.body).toBe(body);
  expect(upstream.requests[0]?.head).toContain(`content-length: ${Buffer.byteLength(body)}`);
});

test("an error of the client's own is passed on at once, as it is", async () => {
  await serve([jsonReply('{"error":{"message":"no such model"}}', "404 Not Found")]);
  expect(await post("/embeddings")).toMatchObject({ status: 404, body: '{"error":{"message":"no such model"}}' });
  expect(upstream.requests).toHaveLength(1);
});

test("what never comes whole is an HTTP error, in the words of the API that was asked", async () => {
  await serve([CUT]);
  const openai = JSON.parse((await post("/embeddings")).body);
  expect(openai.error).toMatchObject({ code: "stream_truncated", type: "upstream_error" });
  expect(openai.error.message).toMatch(
    /^Incomplete stream: .*No answer had arrived, after 3 attempts\. Send the request again\.$/,
  );
  const anthropic = JSON.parse((await post("/messages/count_tokens")).body);
  expect(anthropic).toMatchObject({ type: "error", error: { type: "api_error", code: "stream_truncated" } });
});

test("an answer over limits.maxBodyBytes is not lost: it passes as it comes", async () => {
  const large = JSON.stringify({ data: [{ embedding: Array.from({ length: 200_000 }, (_, index) => index / 7) }] });
  await serve([CUT, jsonReply(large)], { limits: { maxBodyBytes: "64KiB" } });
  const seen = await post("/embeddings");
  expect(seen.body).toBe(large);
  expect(seen).toMatchObject({ status: 200, end: "clean", headers: { "content-length": String(large.length) } });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
});

test("such an answer is cut for the client where it is cut", async () => {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
  upstream = await startRawUpstream((socket) => {
    socket.end(`${head}30000\r\n[${"1,".repeat(0x17fff)}1\r\n`);
  });
  perennial = await startPerennial(upstream.baseUrl, { limits: { maxBodyBytes: "64KiB" } });
  const seen = await post("/embeddings");
  expect(seen).toMatchObject({ status: 200, end: "cut" });
  expect(seen.body).not.toContain("error");
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "stream_truncated" });
});

test("openai-node gets its embedding after a cut", async () => {
  const base64 = Buffer.from(Float32Array.of(0.5, 2).buffer).toString("base64");
  await serve([
    CUT,
    jsonReply(JSON.stringify({ object: "list", data: [{ object: "embedding", index: 0, embedding: base64 }], model: "e" })),
  ]);
  const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "x", maxRetries: 0 });
  const answer = await client.embeddings.create({ model: "e", input: "hello" });
  expect(answer.data[0]?.embedding).toEqual([0.5, 2]);
});
