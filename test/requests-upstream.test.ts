/** What an upstream is sent, byte by byte: in every dialect, asked as the client asked, whole, and by a stream. */
import { gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { send } from "./support/client.ts";
import { FIXTURES } from "./support/dialect-fixtures.ts";
import { startHttpServer } from "./support/http-server.ts";
import { chatAnswer } from "./support/raw-upstream.ts";
import { type Tools, test, withRows } from "./support/test.ts";

interface Arrived {
  readonly method: string | undefined;
  readonly url: string | undefined;
  /** Names in the order and the case in which they came, with their values. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

type StartRecorder = (
  replies: readonly (readonly [type: "json" | "stream" | "500", body: string])[],
  settings?: Record<string, unknown>,
  bare?: boolean,
) => Promise<{ url: string; arrived: Arrived[] }>;

const recording = withRows(
  test.extend("startRecorder", ({ closing, startPerennial }: Pick<Tools, "closing" | "startPerennial">): StartRecorder => {
    return async (replies, settings = {}, bare = false) => {
      const arrived: Arrived[] = [];
      const server = closing(
        await startHttpServer(async (request, response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of request) chunks.push(chunk);
          const { method, url, rawHeaders } = request;
          const headers = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ""] as const] : []));
          arrived.push({ method, url, headers, body: Buffer.concat(chunks) });
          const [type, body] = replies[Math.min(arrived.length, replies.length) - 1] ?? ["json", "{}"];
          const label = type === "stream" ? "text/event-stream" : "application/json";
          response.writeHead(type === "500" ? 500 : 200, { "content-type": label }).end(body);
        }),
      );
      const { url } = await startPerennial(bare ? server.baseUrl.replace("/v1", "") : server.baseUrl, settings);
      return { url, arrived };
    };
  }),
);

/** Odd spaces, a number of 64 bits, one with an exponent, an escape, a field that comes twice: nothing of it may change on its way. */
const bodyOf = (stream: string, more = ""): string =>
  `{ "model":"m",  "seed" : 9223372036854775807,"big":1E400,"neg":-9007199254740993,"t":1.0, "messages":[],"input":"\\u6c34 水",${stream}"user":"a","user":"b"${more}}\n`;
const STREAMED = bodyOf('"stream" :true, ');
const WHOLE = bodyOf("");
const JSON_TYPE = { "content-type": "application/json; charset=UTF-8" };

const post = (url: string, body: string | Buffer, headers: Record<string, string> = {}) =>
  send(url, { method: "POST", body, headers: { ...JSON_TYPE, "content-length": String(Buffer.byteLength(body)), ...headers } });
const headerOf = ({ headers }: Arrived, name: string): string[] =>
  headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
/** The numbers as they are written, and the rest as it is read. */
const exactly = (text: string): unknown =>
  [...text.matchAll(/"(seed|big|neg)"\s*:\s*([^,}\s]+)/g)].map(([, name, value]) => [name, value]);

describe.each(FIXTURES)("$name", ({ path, upstream, events, answer }) => {
  const isBare = upstream.profile === "chatchat";

  recording("asked as it was: each attempt sends the client's own bytes", async ({ startRecorder }) => {
    const { url, arrived } = await startRecorder(
      [
        ["500", "{}"],
        ["stream", ""],
        ["stream", events.join("")],
      ],
      { upstream, retry: { maxAttempts: 3, backoff: { initial: "0", jitter: false } } },
      isBare,
    );
    await post(url + path, STREAMED);
    expect(arrived.length).toBeGreaterThan(1);
    for (const [index, request] of arrived.entries()) {
      expect(request).toMatchObject({ method: "POST", url: path });
      // A dialect may ask whole for want of content.
      if (index === 0) expect(request.body.toString()).toBe(STREAMED);
      expect(exactly(request.body.toString())).toEqual(exactly(STREAMED));
    }
  });

  recording("asked as it was, not streamed and compressed: the bytes are as they came", async ({ startRecorder }) => {
    const { url, arrived } = await startRecorder(
      [["json", JSON.stringify(answer ?? {})]],
      { upstream, retry: { maxAttempts: 1 } },
      isBare,
    );
    const packed = gzipSync(WHOLE);
    await post(url + path, packed, { "content-encoding": "gzip" });
    const [request] = arrived;
    expect(request?.body.equals(packed)).toBe(true);
    expect(request && headerOf(request, "content-encoding")).toEqual(["gzip"]);
    expect(request && headerOf(request, "content-length")).toEqual([String(packed.length)]);
  });
});

const streamOptions = (path: string): object =>
  /chat\/completions|\/completions/.test(path) ? { stream_options: { include_usage: true } } : {};

describe.each(FIXTURES.filter(({ answer }) => answer !== undefined))("$name asked otherwise", ({ path, events, answer }) => {
  recording.for([
    ["plain", (text: string) => [text, {}] as const],
    ["compressed", (text: string) => [gzipSync(text), { "content-encoding": "gzip" }] as const],
  ])("%s, by a stream: nothing but the stream is added", async ([_how, pack], { startRecorder }) => {
    const { url, arrived } = await startRecorder([["stream", events.join("")]], { nonStreaming: "viaStream" });
    const [body, headers] = pack(WHOLE);
    const seen = await post(url + path, body, headers);
    expect(seen.status).toBe(200);
    const [request] = arrived;
    const text = request?.body.toString() ?? "";
    expect(exactly(text)).toEqual(exactly(WHOLE));
    const { seed: _s, big: _b, neg: _n, ...read } = JSON.parse(text);
    const { seed: _s2, big: _b2, neg: _n2, ...asked } = JSON.parse(WHOLE);
    expect(read).toEqual({ ...asked, stream: true, ...streamOptions(path) });
    expect(request && headerOf(request, "content-encoding")).toEqual([]);
    expect(request && headerOf(request, "content-length")).toEqual([String(Buffer.byteLength(text))]);
    expect(request && headerOf(request, "content-type")).toEqual([JSON_TYPE["content-type"]]);
  });

  recording.for([
    ["plain", (text: string) => [text, {}] as const],
    ["compressed", (text: string) => [gzipSync(text), { "content-encoding": "gzip" }] as const],
  ])("%s, whole: nothing but the stream is taken away", async ([_how, pack], { startRecorder }) => {
    const streamed = bodyOf('"stream":true,', path === "/v1/messages" ? "" : ',"stream_options":{"include_usage":true}');
    const { url, arrived } = await startRecorder(
      [
        ["stream", ""],
        ["json", JSON.stringify(answer)],
      ],
      { upstream: { emptyFallback: "next" } },
    );
    const [body, headers] = pack(streamed);
    const seen = await post(url + path, body, headers);
    expect(seen.status).toBe(200);
    const [first, second] = arrived;
    expect(first?.body.equals(Buffer.from(body))).toBe(true);
    const text = second?.body.toString() ?? "";
    expect(exactly(text)).toEqual(exactly(streamed));
    const { seed: _s, big: _b, neg: _n, ...read } = JSON.parse(text);
    const { seed: _s2, big: _b2, neg: _n2, stream_options: _o, ...asked } = JSON.parse(streamed);
    expect(read).toEqual({ ...asked, stream: false });
    expect(second && headerOf(second, "content-encoding")).toEqual([]);
    expect(second && headerOf(second, "content-length")).toEqual([String(Buffer.byteLength(text))]);
  });
});

recording.for(["9007199254740993", "-9223372036854775808", "1e400", "-1E+400", "12345678901234567890.5"])(
  "the number %s alone keeps all of its digits in a body that is rewritten",
  async (number, { startRecorder }) => {
    const { url, arrived } = await startRecorder([["stream", FIXTURES[0]?.events.join("") ?? ""]], { nonStreaming: "viaStream" });
    await post(`${url}/v1/chat/completions`, `{"model":"m","seed":${number}}`);
    expect(arrived[0]?.body.toString()).toContain(`"seed":${number},`);
  },
);

recording("the options of a stream that the client names are kept beside what is added", async ({ startRecorder }) => {
  const { url, arrived } = await startRecorder([["stream", FIXTURES[0]?.events.join("") ?? ""]], { nonStreaming: "viaStream" });
  await post(`${url}/v1/chat/completions`, '{"model":"m","stream_options":{"include_obfuscation":false,"include_usage":false}}');
  expect(JSON.parse(arrived[0]?.body.toString() ?? "")).toEqual({
    model: "m",
    stream: true,
    stream_options: { include_obfuscation: false, include_usage: true },
  });
});

recording(
  "the headers that arrive are the client's, but for what ends here and what is between the client and Perennial",
  async ({ startRecorder }) => {
    const { url, arrived } = await startRecorder([["json", chatAnswer("Hi")]]);
    const headers = {
      authorization: "Bearer sk-client",
      "openai-organization": "org",
      "idempotency-key": "k 1",
      "user-agent": "Mine/1",
      "x-forwarded-for": "203.0.113.9",
      accept: "application/json",
      cookie: "a=1; b=2",
      "accept-encoding": "gzip, br",
      "x-perennial-max-attempts": "2",
      te: "trailers",
      connection: "close, x-hop",
      "x-hop": "1",
    };
    await post(`${url}/v1/chat/completions?api-version=1&x=%2F`, WHOLE, headers);
    const [request] = arrived;
    expect(request?.url).toBe("/v1/chat/completions?api-version=1&x=%2F");
    const names = Object.fromEntries(request?.headers.map(([name, value]) => [name.toLowerCase(), value]) ?? []);
    const { host, connection: _c, traceparent: _t, ...rest } = names;
    expect(host).toMatch(/^127\.0\.0\.1:\d+$/);
    const { "x-perennial-max-attempts": _m, te: _te, connection: _cn, "x-hop": _h, ...kept } = headers;
    expect(rest).toEqual({
      ...kept,
      ...JSON_TYPE,
      "accept-encoding": "identity",
      "content-length": String(Buffer.byteLength(WHOLE)),
    });
  },
);

describe("the key that is sent", () => {
  recording.for([
    ["authorization", { authorization: "Bearer sk-ours" }],
    ["x-api-key", { "x-api-key": "sk-ours" }],
    ["api-key", { "api-key": "sk-ours" }],
  ])("is the upstream's, in %s alone", async ([keyHeader, expected], { startRecorder }) => {
    const { url, arrived } = await startRecorder([["json", chatAnswer("Hi")]], { upstream: { apiKey: "sk-ours", keyHeader } });
    const own = { authorization: "Bearer theirs", "x-api-key": "theirs", "api-key": "theirs" };
    for (const path of ["/v1/chat/completions", "/v1/files"]) {
      await post(url + path, WHOLE, own);
      const sent = arrived.at(-1)?.headers.filter(([name]) => /^(authorization|x-api-key|api-key)$/i.test(name));
      expect([path, Object.fromEntries(sent ?? [])]).toEqual([path, expected]);
    }
  });

  recording("is the client's own where there is none of ours, and none where it opened our door", async ({ startRecorder }) => {
    const own = { authorization: "Bearer key-one", "x-api-key": "also" };
    const credentials = (request: Arrived | undefined) =>
      request?.headers.filter(([name]) => /^(authorization|x-api-key)$/i.test(name)).length;
    const open = await startRecorder([["json", chatAnswer("Hi")]]);
    await post(`${open.url}/v1/chat/completions`, WHOLE, own);
    expect(credentials(open.arrived[0])).toBe(2);
    const closed = await startRecorder([["json", chatAnswer("Hi")]], { auth: { keys: ["key-one"] } });
    await post(`${closed.url}/v1/chat/completions`, WHOLE, own);
    await post(`${closed.url}/v1/files`, WHOLE, own);
    expect(closed.arrived.map(credentials)).toEqual([0, 0]);
  });
});
