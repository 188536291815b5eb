/** What an upstream says that its answer is, and what is made of that. */
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { sendFramed } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { test } from "./support/test.ts";

describe("the type of an answer", () => {
  const framed = (head: string, body = WHOLE.join("")): string =>
    `HTTP/1.1 200 OK\r\n${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

  test.for(["content-type: Text/Event-Stream", "content-type: text/event-stream ; charset=utf-8"])(
    "%s is a stream",
    async (head, { serve }) => {
      const { perennial } = await serve([framed(head)]);
      expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
    },
  );

  test("may be encoded as identity, which is no encoding", async ({ serve }) => {
    const { perennial } = await serve([framed("content-type: text/event-stream\r\ncontent-encoding: identity")]);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true });
    expect(seen.headers["content-encoding"]).toBeUndefined();
  });

  test("tells the proxies in front neither to buffer nor to compress a stream", async ({ serve }) => {
    const { perennial } = await serve([atOnce(WHOLE)]);
    expect((await chat(perennial.baseUrl)).headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
  });
});

test.for([
  ["compressed, though identity was asked for", "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n"],
  ["a web page", "content-type: text/html\r\n"],
])("a 200 that is %s is an error, not an answer", async ([_what, head], { serve }) => {
  const { perennial } = await serve((socket) => sendFramed(socket, "chunked", ["<html></html>"], `HTTP/1.1 200 OK\r\n${head}`));
  for (const stream of [true, false]) {
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body).error.code).toBe("stream_corrupted");
  }
});
