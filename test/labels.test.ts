/** The body says what it is, whatever its label says; and a compressed one is read, though none was asked for. */

import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, constants, createGzip, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen, send } from "./support/client.ts";
import { type DialectFixture, FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, type RawUpstream, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(answer: (socket: Socket) => unknown, settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream(answer);
  const { profile } = (settings.upstream ?? {}) as { profile?: string };
  perennial = await startPerennial(profile === "chatchat" ? upstream.baseUrl.replace("/v1", "") : upstream.baseUrl, settings);
}

const headOf = (labels: string, status = "200 OK"): string => `HTTP/1.1 ${status}\r\n${labels}`;
const LABELS = {
  "application/json": "content-type: application/json\r\n",
  "text/plain": "content-type: text/plain; charset=utf-8\r\n",
  "text/html": "content-type: text/html; charset=utf-8\r\n",
  "application/octet-stream": "content-type: application/octet-stream\r\n",
  "no type": "",
  "an empty type": "content-type: \r\n",
  "two types": "content-type: application/json, text/event-stream; charset=utf-8\r\n",
  "text/event-stream": "content-type: text/event-stream\r\n",
};
const labels = Object.entries(LABELS);

const reply =
  (labels: string, body: readonly (string | Buffer)[], status?: string) =>
  (socket: Socket): void =>
    sendFramed(socket, "chunked", body, headOf(labels, status));

function ask(fixture: DialectFixture, stream: boolean): Promise<Seen> {
  return send(perennial.url + fixture.path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream, ...fixture.request }),
  });
}

/** Leaves as soon as `text` has come. @returns whether it came while the upstream was still sending. */
function hears(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    const onRead = (body: string, leave: () => void): void => {
      if (!body.includes(text)) return;
      resolve(true);
      leave();
    };
    chat(perennial.baseUrl, {}, { onRead }).then(
      () => resolve(false),
      () => resolve(false),
    );
  });
}

const WORDS = ["Hello", ", ", "world"];
const WHOLE = chatEvents(WORDS);
const codeOf = ({ body }: Seen): string | undefined => /"code":"(\w+)"/.exec(body)?.[1];

describe.each(FIXTURES)("$name", (fixture) => {
  test.each(labels)("an event stream under %s is read as one", async (_label, head) => {
    await serve(reply(head, fixture.events), { upstream: fixture.upstream });
    const seen = await ask(fixture, true);
    expect(readDialectStream(fixture, seen.body)).toMatchObject({ text: fixture.text, errorCode: undefined });
    expect(seen.headers["content-type"]).toContain("text/event-stream");
    expect(upstream.requests).toHaveLength(1);
  });

  const { answer } = fixture;
  if (answer === undefined || fixture.upstream.profile === "chatchat") return;

  test.each(labels)("an event stream under %s answers a request that is not streamed, joined", async (_label, head) => {
    await serve(reply(head, fixture.events), { upstream: fixture.upstream });
    const seen = await ask(fixture, false);
    expect([seen.status, seen.headers["content-type"], upstream.requests.length]).toEqual([200, "application/json", 1]);
    expect(JSON.stringify(JSON.parse(seen.body))).toContain(fixture.text);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
  });

  test.each(labels)("JSON under %s is an answer, streamed or not", async (_label, head) => {
    for (const behind of ["", "\n\ndata: [DONE]\n\n"]) {
      await serve(reply(head, [JSON.stringify(answer, null, 1), behind]), { upstream: fixture.upstream });
      const seen = await ask(fixture, false);
      expect([seen.status, JSON.parse(seen.body)]).toEqual([200, answer]);
      expect(seen.headers["content-type"]).toContain("application/json");
      const streamed = await ask(fixture, true);
      expect(readDialectStream(fixture, streamed.body)).toMatchObject({ text: fixture.text, whole: true });
      expect(upstream.requests).toHaveLength(2);
      await perennial.close();
      await upstream.close();
    }
  });
});

test("a stream of Chatchat's in place of an answer is joined where it is its model's own, and refused where it is an agent's", async () => {
  const fixture = FIXTURES.find(({ name }) => name === "chatchat-completions") as DialectFixture;
  await serve(reply(LABELS["application/json"], fixture.events), { upstream: fixture.upstream });
  const seen = await ask(fixture, false);
  expect(JSON.parse(seen.body).choices[0]).toMatchObject({ message: { content: fixture.text }, finish_reason: "stop" });
  await perennial.close();
  await upstream.close();
  const step = (status: number): string => `data: {"status":${status},"choices":[{"delta":{"content":"Hm"}}]}\n\n`;
  await serve(reply(LABELS["text/event-stream"], [step(3), step(5)]), { upstream: fixture.upstream });
  expect(codeOf(await ask(fixture, false))).toBe("stream_corrupted");
});

describe("the first bytes decide", () => {
  const drip = (head: string, body: string) => async (socket: Socket) => {
    socket.write(`${head}connection: close\r\n\r\n`);
    for (const byte of Buffer.from(body)) {
      socket.write(Buffer.of(byte));
      await sleep(1);
    }
    socket.end();
  };

  test.each(["", "\n\r\n\n", "\ufeff", ": hello\n\n"])("when they come one by one, after %j", async (start) => {
    const events = chatEvents(["Hi"]).map((event) => event.replace(/"id".*?"choices"/, '"choices"'));
    await serve(drip(headOf(LABELS["text/plain"]), start + events.join("")));
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", done: true });
  });

  test.each(["", "\n\n \n", "\ufeff"])("JSON after %j, byte by byte", async (start) => {
    await serve(drip(headOf(LABELS["text/event-stream"]), start + chatAnswer("Hi")));
    const { body } = await chat(perennial.baseUrl, { stream: false });
    expect(JSON.parse(body.trim()).choices[0].message.content).toBe("Hi");
  });

  test("and no more than these are waited for: an event under application/json is handed on while the answer goes on", async () => {
    await serve((socket) =>
      socket.write(`${headOf(LABELS["application/json"])}connection: close\r\n\r\n${WHOLE.slice(0, 2).join("")}`),
    );
    expect(await hears("Hello")).toBe(true);
  });

  test.each([
    ["d", "stream_corrupted"],
    ["", "empty_stream"],
    ["Internal Server Error", "stream_corrupted"],
    ["<html><body>data: no</body></html>", "stream_corrupted"],
  ])("a body of %j is no answer", async (body, code) => {
    for (const head of [LABELS["no type"], LABELS["text/plain"]]) {
      await serve(reply(head, [body]));
      expect([(await chat(perennial.baseUrl)).status, codeOf(await chat(perennial.baseUrl))]).toEqual([502, code]);
      expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(502);
      await perennial.close();
      await upstream.close();
    }
  });

  test("a web page is told as one", async () => {
    await serve(reply(LABELS["text/html"], ["<!DOCTYPE html><p>data: welcome</p>"]));
    for (const stream of [true, false]) {
      const seen = await chat(perennial.baseUrl, { stream });
      expect([seen.status, seen.body]).toEqual([502, expect.stringContaining("a web page")]);
    }
  });

  test("a line of JSON that is no part of the answer does not make the events behind it JSON", async () => {
    await serve(reply(LABELS["text/event-stream"], ['{"status":"load', 'ing"}\n', ...WHOLE]));
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("an error on a bare line is told at once, though the stream stays open", async () => {
    await serve((socket) => {
      socket.write(`${headOf(LABELS["text/event-stream"])}connection: close\r\n\r\n{"error":{"message":"out of `);
      setTimeout(() => socket.write('memory"}}\n'), 30);
    });
    const seen = await chat(perennial.baseUrl);
    expect([codeOf(seen), seen.body]).toEqual(["upstream_error_event", expect.stringContaining("out of memory")]);
  });

  test("what Chatchat answers as JSON is passed on as JSON, under any label but a stream's", async () => {
    const body = '{"code":200,"msg":"ok","data":"yes"}';
    await serve(reply(LABELS["text/html"], [body]), { upstream: { profile: "chatchat" } });
    const seen = await send(`${perennial.url}/chat/chat`, { method: "POST", body: '{"query":"q","stream":true}' });
    expect([seen.status, seen.headers["content-type"], seen.body]).toEqual([200, "application/json", body]);
  });

  test("a stream that is cut under another label is cut, and its finish is not invented", async () => {
    await serve(reply(LABELS["text/plain"], chatEvents(WORDS, { finish: null, done: false })));
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: "stream_truncated",
    });
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_truncated");
  });

  test("an answer that is watched as a stream may come under any label", async () => {
    await serve(reply(LABELS["text/plain"], WHOLE), { nonStreaming: "viaStream" });
    expect(JSON.parse((await chat(perennial.baseUrl, { stream: false })).body).choices[0].message.content).toBe("Hello, world");
  });

  test("blank lines that keep an answer alive that is not streamed are not silence", async () => {
    await serve(
      async (socket) => {
        socket.write(`${headOf("")}connection: close\r\n\r\n`);
        for (let i = 0; i < 8; i++) {
          await sleep(300);
          socket.write("\n");
        }
        socket.end(chatAnswer("Hi"));
      },
      { timeouts: { idle: "1500ms" } },
    );
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
  });

  test("the first question may be answered by a stream, and compressed", async () => {
    const body = gzipSync(WHOLE.join(""));
    await serve(reply(`${LABELS["application/json"]}content-encoding: gzip\r\n`, [body]), { warmup: { on: "start" } });
    await expect.poll(async () => (await send(`${perennial.url}/readyz`)).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("a compressed body, though identity was asked for", () => {
  const ENCODINGS: [string, (text: string) => Buffer][] = [
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["GZIP, identity", gzipSync],
    ["deflate", deflateSync],
    ["deflate", deflateRawSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
  ];
  const encoded = (encoding: string, type = "text/event-stream"): string =>
    `content-type: ${type}\r\ncontent-encoding: ${encoding}\r\n`;

  test.each(ENCODINGS)("%s is read", async (encoding, compress) => {
    const halves = (body: Buffer): Buffer[] => [body.subarray(0, 20), body.subarray(20, -4), body.subarray(-4)];
    await serve(reply(encoded(encoding), halves(compress(WHOLE.join("")))));
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true });
    expect(seen.headers["content-encoding"]).toBeUndefined();
    expect(upstream.requests).toHaveLength(1);
    await perennial.close();
    await upstream.close();
    await serve(reply(encoded(encoding, "application/json"), halves(compress(chatAnswer("Hi")))));
    const whole = await chat(perennial.baseUrl, { stream: false });
    expect([whole.status, JSON.parse(whole.body).choices[0].message.content]).toEqual([200, "Hi"]);
    expect(whole.headers["content-encoding"]).toBeUndefined();
  });

  test("a refusal is told in its own words", async () => {
    const body = gzipSync('{"error":{"message":"no such model"}}');
    await serve(reply(encoded("gzip", "application/json"), [body], "400 Bad Request"));
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, JSON.parse(seen.body).error.message]).toEqual([400, "no such model"]);
    expect(seen.headers["content-encoding"]).toBeUndefined();
  });

  test("a refusal whose body cannot be read stays a refusal", async () => {
    await serve(reply(encoded("gzip", "application/json"), ["oops"], "400 Bad Request"));
    expect([(await chat(perennial.baseUrl)).status, upstream.requests.length]).toEqual([400, 1]);
  });

  test.each(["gzip", "deflate", "br", "zstd", "compress"])("data that is not %s is corrupt", async (encoding) => {
    await serve(reply(encoded(encoding), ["<html></html>"]), { retry: { maxAttempts: 1 } });
    for (const stream of [true, false]) expect(codeOf(await chat(perennial.baseUrl, { stream }))).toBe("stream_corrupted");
  });

  test.each(ENCODINGS.slice(3))("%s that is cut is an answer that is cut", async (encoding, compress) => {
    const body = compress(chatEvents(WORDS, { done: false }).join(""));
    await serve(reply(encoded(encoding), [body.subarray(0, -20)]), { retry: { maxAttempts: 1 } });
    const seen = await chat(perennial.baseUrl);
    expect(["stream_truncated", "empty_stream"]).toContain(codeOf(seen));
  });

  test("a clean end of the body does not make a cut Chatchat answer whole", async () => {
    const body = gzipSync('data: {"text":"Hel"}\n\ndata: {"text":"lo"}\n\n');
    await serve(reply(encoded("gzip"), [body.subarray(0, -9)]), { upstream: { profile: "chatchat" } });
    const seen = await send(`${perennial.url}/chat/chat`, { method: "POST", body: '{"query":"q","stream":true}' });
    expect(codeOf(seen)).toBe("stream_truncated");
  });

  test("events are not held until others fill a block", async () => {
    await serve((socket) => {
      socket.write(`${headOf(encoded("gzip"))}connection: close\r\n\r\n`);
      const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
      gzip.on("data", (chunk) => socket.write(chunk));
      for (const event of WHOLE.slice(0, 2)) gzip.write(event);
    });
    expect(await hears("Hello")).toBe(true);
  });

  test.each([
    ["goes off at the limit, not in the memory", '{"a":"', "x", "limits.maxBodyBytes"],
    ["of blanks, which count for nothing, is not kept", "", " ", "empty_stream"],
  ])("a bomb %s", async (_what, start, fill, says) => {
    // One piece again and again, as gzip may be: to compress all of it would take longer than the test.
    const piece = gzipSync(Buffer.alloc(1024 * 1024, fill));
    const bomb = [gzipSync(start), ...Array.from({ length: 128 }, () => piece)];
    await serve(reply(encoded("gzip", "application/json"), [Buffer.concat(bomb)]), {
      limits: { maxBodyBytes: "1MiB" },
      retry: { maxAttempts: 1 },
    });
    const before = process.memoryUsage().rss;
    const seen = await chat(perennial.baseUrl, { stream: false });
    expect([seen.status, seen.body]).toEqual([502, expect.stringContaining(says)]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test("a client that reads slowly gets all of a long answer", async () => {
    const word = "x".repeat(10_000);
    const events = chatEvents(Array.from({ length: 3_000 }, (_, i) => `${i} ${word}`));
    await serve(reply(encoded("gzip"), [gzipSync(events.join(""))]));
    const body = JSON.stringify({ model: "m", stream: true, messages: [] });
    const response = await new Promise<IncomingMessage>((resolve) => {
      const asked = request(`${perennial.baseUrl}/chat/completions`, { method: "POST", agent: false }, resolve);
      asked.end(body);
    });
    await sleep(500);
    let seen = "";
    for await (const read of response.setEncoding("utf8")) {
      seen += read;
      if (Math.random() < 0.02) await sleep(5);
    }
    expect(upstream.requests).toHaveLength(1);
    expect(readStream(seen)).toMatchObject({ done: true, errorCode: undefined });
    expect(seen.length).toBe(events.join("").length);
  });
});
