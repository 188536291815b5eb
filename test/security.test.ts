/** Hostile clients and hostile upstreams: what is refused, what is bounded, and what never reaches the other side. */

import { connect } from "node:net";
import { describe, expect } from "vitest";
import { chat, codeOf, readStream, type Seen, send } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatEvents, frame, jsonReply, SSE_HEAD } from "./support/raw-upstream.ts";
import { begin, open, slowly } from "./support/replies.ts";
import { test } from "./support/test.ts";

const WHOLE = frame("chunked", chatEvents(["Hello"]));
/** Begins a stream and never ends it. */
const ENDLESS = open(...chatEvents(["Hello"], { finish: null, done: false }));
const BODY = '{"stream":true}';
const POST = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
const asked = (headers = ""): string => `${POST}${headers}content-length: ${BODY.length}\r\n\r\n${BODY}`;
/** A stream that has begun; `end` leaves it. */
async function beginStream(perennial: TestPerennial, headers: Record<string, string> = {}): Promise<{ end(): void }> {
  return new Promise((resolve) => {
    void chat(perennial.baseUrl, {}, { headers, onRead: (_body, abort) => resolve({ end: abort }) }).catch(() => {});
  });
}

describe("a request that a server behind might read otherwise is refused, and its connection closed", () => {
  test.for<[string, string | Buffer, number]>([
    ["a length and chunks", `${POST}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunks and a length", `${POST}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n`, 400],
    ["two different lengths", `${POST}content-length: 15\r\ncontent-length: 16\r\n\r\n${BODY}`, 400],
    ["a list of lengths", `${POST}content-length: 15, 15\r\n\r\n${BODY}`, 400],
    ["a signed length", `${POST}content-length: +15\r\n\r\n${BODY}`, 400],
    ["a negative length", `${POST}content-length: -1\r\n\r\n${BODY}`, 400],
    ["a length past every number", `${POST}content-length: 99999999999999999999999\r\n\r\n`, 400],
    ["chunked twice", `${POST}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunked before something else", `${POST}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
    ["chunked behind a vertical tab", `${POST}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, 400],
    ["a space before the colon", `${POST}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a folded header", `${POST}x-a: 1\r\n transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n`, 400],
    ["a header that ends with a bare LF", `${POST}x-a: 1\ncontent-length: 0\r\n\r\n`, 400],
    ["a bare CR in a header", `${POST}x-a: 1\rtransfer-encoding: chunked\r\n\r\n`, 400],
    ["a NUL in a header", `${POST}x-a: 1\0\r\n\r\n`, 400],
    ["a NUL in the path", "GET /v1/mod\0els HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a chunk size that is no number", `${POST}transfer-encoding: chunked\r\n\r\nzz\r\n`, 400],
    ["a chunk that is longer than it says", `${POST}transfer-encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n`, 400],
    ["no host", "GET /v1/models HTTP/1.1\r\n\r\n", 400],
    ["two hosts", "GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400],
    ["HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["a version that does not exist", "GET /v1/models HTTP/3.7\r\nhost: x\r\n\r\n", 400],
    ["TLS where there is none", Buffer.from("160301006d010000690303", "hex"), 400],
    ["a URL of 20 KB", `GET /v1/${"a".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
    ["a coding beside chunks", `${POST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    ["a header of 20 KB", `${POST}x-a: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["300 headers", `${POST}${"a:b\r\n".repeat(300)}content-length: 0\r\n\r\n`, 431],
    ["CONNECT", "CONNECT upstream.test:443 HTTP/1.1\r\nhost: upstream.test:443\r\n\r\n", 405],
    ["an expectation that nobody knows", `${POST}expect: 200-maybe\r\ncontent-length: 0\r\n\r\n`, 417],
  ])("%s", async ([_what, bytes, status], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const seen = await sendRaw(perennial.url, bytes, 2_500);
    expect(seen).toMatchObject({ status, closed: true });
    expect(seen.text).toContain('"code":"invalid_request"');
    expect(seen.text).toContain("content-type: application/json");
    expect(upstream.requests).toHaveLength(0);
    expect((await chat(perennial.baseUrl)).status).toBe(200);
  });
});

test.for([
  ["bytes that are no HTTP, after a stream has begun", "\0\0 nonsense\r\n\r\n"],
  ["a second request with two lengths", `${POST}content-length: 1\r\ncontent-length: 2\r\n\r\n`],
])("%s cut the stream, and add nothing to it", async ([_what, more], { serve }) => {
  const { perennial } = await serve(ENDLESS);
  const seen = await sendRaw(perennial.url, [asked(), { after: "Hello", bytes: more }], 8_000);
  expect(seen).toMatchObject({ status: 200, closed: true });
  expect(seen.text).not.toContain("HTTP/1.1 4");
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
});

describe("what asks for another protocol or method gets a clear answer, and does not hang", () => {
  test("a WebSocket", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const upgrade =
      "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGVzdA==\r\nsec-websocket-version: 13\r\n\r\n";
    const seen = await sendRaw(perennial.url, `GET /v1/realtime HTTP/1.1\r\nhost: x\r\n${upgrade}`, 2_000);
    expect(seen).toMatchObject({ status: 426, closed: true });
    expect(seen.text).toContain("WebSocket");
    expect(upstream.requests).toHaveLength(0);
  });

  test("HTTP/2 by upgrade is answered in HTTP/1.1", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const seen = await sendRaw(
      perennial.url,
      asked("connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"),
    );
    expect(seen.status).toBe(200);
    expect(upstream.requests[0]?.head).not.toMatch(/h2c|http2-settings/i);
  });

  test.for(["TRACE", "PROPFIND", "PURGE"])("%s, which would show what the upstream is sent", async (method, { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], { upstream: { apiKey: "sk-upstream" } });
    const seen = await sendRaw(perennial.url, `${method} /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, 2_000);
    expect(seen).toMatchObject({ status: 404, closed: true });
    expect(upstream.requests).toHaveLength(0);
  });

  test("a method that does not exist", async ({ serve }) => {
    const { perennial } = await serve([WHOLE]);
    const seen = await sendRaw(perennial.url, "GETT /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", 2_000);
    expect(seen).toMatchObject({ status: 400, closed: true });
  });

  test("Expect: 100-continue is met, and not passed on", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const seen = await sendRaw(perennial.url, [`${POST}expect: 100-continue\r\ncontent-length: ${BODY.length}\r\n\r\n`, BODY]);
    expect(seen.text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(upstream.requests[0]?.head).not.toMatch(/expect/i);
  });
});

describe("a body that is not what it should be is refused, and goes no further", () => {
  const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  test.for<[string, string | Buffer, string]>([
    ["a megabyte of opening brackets", "[".repeat(1_000_000), "application/json"],
    ["a megabyte of brackets", deep(500_000), "application/json"],
    ["a megabyte of brackets in a field", `{"stream":true,"messages":${deep(500_000)}}`, "application/json"],
    ["201 levels", `{"stream":true,"messages":${deep(200)}}`, "application/json"],
    ["bytes that are no UTF-8", Buffer.from('{"stream":true,"user":"\xb0\xa1"}', "latin1"), "application/json"],
    ["UTF-16", Buffer.from(BODY, "utf16le"), "application/json"],
    ["a NUL", `${BODY}\0`, "application/json"],
    ["two documents", BODY + BODY, "application/json"],
    ["a form", "stream=true&model=m", "application/x-www-form-urlencoded"],
    ["a file", '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', "multipart/form-data; boundary=x"],
    ["XML", "<stream>true</stream>", "text/xml"],
  ])("%s", async ([_what, body, type], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const seen = await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", headers: { "content-type": type }, body });
    expect(seen.status).toBe(400);
    expect(codeOf(seen)).toBe("invalid_request");
    expect(upstream.requests).toHaveLength(0);
    expect((await chat(perennial.baseUrl)).status).toBe(200);
  });

  test("200 levels are enough for everybody, and pass", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const body = `{"stream":true,"messages":${deep(199)}}`;
    expect((await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body })).status).toBe(200);
    expect(upstream.requests[0]?.body).toBe(body);
  });

  test("keys that would change every object are plain data", async ({ serve }) => {
    const evil = '"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}';
    const events = [
      `data: {"choices":[{"index":0,"delta":{"content":"Hello",${evil}}}],${evil}}\n\n`,
      `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"__proto__","arguments":"{}",${evil}},${evil}}]},"finish_reason":"stop"}]}\n\n`,
      "data: [DONE]\n\n",
    ];
    const { perennial, upstream } = await serve([frame("chunked", events)], { nonStreaming: "viaStream" });
    for (const stream of [true, false]) {
      const body = `{"stream":${stream},"model":"m",${evil}}`;
      const seen = await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body });
      expect(seen.status).toBe(200);
      expect(seen.body).toContain("Hello");
    }
    expect(upstream.requests[0]?.body).toContain(evil);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe("a client's own policy can only be stricter", () => {
  test.for([
    ["x-perennial-max-attempts", ["0", "-1", "1.5", "1e3", "1, 5", "", "9".repeat(400), "1\t2"]],
    ["x-perennial-total-timeout", ["0s", "-1s", "1h", "1", "s", "1s, 5s", "99999999999s", "__proto__"]],
    ["x-perennial-idle-timeout", ["NaNs", "1constructor", "1.5s"]],
  ])("%s", async ([header, values], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    for (const value of values) {
      const seen = await chat(perennial.baseUrl, {}, { headers: { [header]: value } });
      expect([value, seen.status]).toEqual([value, 400]);
      expect(codeOf(seen)).toBe("invalid_request");
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("where requests go, with which key and how large they may be is not a client's choice", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE], {
      upstream: { apiKey: "sk-upstream" },
      limits: { maxBodyBytes: "100B" },
    });
    const headers = {
      "x-perennial-upstream": "http://127.0.0.1:1",
      "x-perennial-base-url": "http://127.0.0.1:1",
      "x-perennial-api-key": "sk-mine",
      "x-perennial-max-body-bytes": "1GiB",
      "x-forwarded-host": "evil.example",
    };
    expect((await chat(perennial.baseUrl, {}, { headers })).status).toBe(200);
    expect(upstream.requests[0]?.head).not.toMatch(/x-perennial|sk-mine/i);
    expect(upstream.requests[0]?.head).toContain("authorization: Bearer sk-upstream");
    expect((await chat(perennial.baseUrl, { user: "a".repeat(100) }, { headers })).status).toBe(413);
  });
});

describe("a hostile upstream", () => {
  test("cannot speak for Perennial, nor for its host, in its headers", async ({ serve }) => {
    const forged = [
      "x-perennial-id: forged",
      "x-perennial-attempts: 0",
      "x-perennial-upstream: forged",
      "X-Perennial-Other: forged",
      "strict-transport-security: max-age=31536000; includeSubDomains",
      'alt-svc: h3=":443"',
      "set-cookie: a=1",
      "set-cookie: b=2",
      "x-request-id: req_1",
    ].join("\r\n");
    const replies = [
      frame("chunked", chatEvents(["Hello"]), `${SSE_HEAD}${forged}\r\n`),
      jsonReply('{"error":{"message":"no"}}', "400 No", `${forged}\r\n`),
    ];
    const { perennial } = await serve((socket, { number }) => socket.write(replies[number - 1] as Buffer));
    for (const status of [200, 400]) {
      const seen = await chat(perennial.baseUrl);
      expect(seen.status).toBe(status);
      expect(JSON.stringify(seen.headers)).not.toMatch(/forged|strict-transport|alt-svc/);
      expect(seen.headers).toMatchObject({
        "x-perennial-attempts": "1",
        "x-perennial-upstream": "main",
        "set-cookie": ["a=1", "b=2"],
        "x-request-id": "req_1",
      });
    }
  });

  test.for([
    ["a bare CR", "x-request-id: a\rset-cookie: evil=1", 502, { code: "upstream_unreachable" }],
    ["a NUL", "x-request-id: a\0b", 502, { code: "upstream_unreachable" }],
    ["a control character", "x-request-id: a\x01\x1b[31mb", 502, { code: "upstream_unreachable" }],
    ["DEL", "x-request-id: a\x7fb", 502, { code: "upstream_unreachable" }],
    ["a folded line", "x-request-id: a\r\n set-cookie: evil=1", 502, { code: "upstream_unreachable" }],
    ["bytes that are no ASCII", "x-request-id: caf\xc3\xa9", 200, { text: "Hello", done: true }],
    ["a name that is none", "x request id: a", 502, { code: "upstream_unreachable" }],
  ])("with %s in a header injects nothing, and is no defect of Perennial's", async ([_what, header, status, told], { serve }) => {
    const answer = Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\n${header}\r\n`, "latin1"),
      WHOLE.subarray("HTTP/1.1 200 OK\r\n".length),
    ]);
    const { perennial } = await serve([answer], { retry: { maxAttempts: 1 } });
    const seen = await chat(perennial.baseUrl);
    expect([200, 502]).toContain(seen.status);
    expect(seen.headers["set-cookie"]).toBeUndefined();
    expect(seen.status).toBe(status);
    expect(status === 502 ? JSON.parse(seen.body).error : readStream(seen.body)).toMatchObject(told);
    expect(JSON.stringify(perennial.log)).not.toMatch(/internal_error|\\u001b/);
  });

  test("with more headers than Perennial takes is not listened to", async ({ serve }) => {
    const { perennial } = await serve([`${SSE_HEAD}${`x-a: ${"a".repeat(1_000)}\r\n`.repeat(100)}\r\n`], {
      retry: { maxAttempts: 1 },
    });
    expect(codeOf(await chat(perennial.baseUrl))).toBe("upstream_unreachable");
  });
});

test("a model's name reaches neither a header nor a line of the log of its own", async ({ serve }) => {
  const { perennial } = await serve([WHOLE]);
  const model = 'm\r\nx-injected: 1\n{"level":"error","msg":"forged"}\x1b[2J';
  const seen = await chat(perennial.baseUrl, { model });
  expect(JSON.stringify(seen.headers)).not.toContain("injected");
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", model });
  expect(perennial.log.filter(({ msg }) => msg === "forged")).toEqual([]);
});

describe("without a key", () => {
  test("nothing shows what there is", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE], { auth: { keys: ["key-one"] }, metrics: { enabled: false } });
    const asks: [string, string][] = [
      ["POST", "/v1/chat/completions"],
      ["GET", "/v1/models"],
      ["GET", "/v1/nothing"],
      ["GET", "/metrics"],
      ["GET", "/nothing"],
      ["GET", "/v1/%2e%2e/x"],
      ["DELETE", "/"],
    ];
    const seen = await Promise.all(asks.map(([method, path]) => send(perennial.url + path, { method })));
    expect(new Set(seen.map(({ status, body }) => `${status} ${body}`)).size).toBe(1);
    expect(seen[0]?.status).toBe(401);
    // Whoever has one is told.
    const headers = { authorization: "Bearer key-one" };
    expect((await send(`${perennial.url}/metrics`, { headers })).status).toBe(404);
    expect(upstream.requests).toHaveLength(0);
  });

  test("a body is not read: the refusal does not wait for it", async ({ serve }) => {
    const { perennial } = await serve([WHOLE], { auth: { keys: ["key-one"] } });
    const seen = await sendRaw(perennial.url, `${POST}content-length: 1000000\r\n\r\n`);
    expect(seen.status).toBe(401);
  });
});

describe("while Perennial trusts this machine, a page from elsewhere", () => {
  const ask = (perennial: TestPerennial, headers: Record<string, string>): Promise<Seen> =>
    chat(perennial.baseUrl, {}, { headers });

  test.for([
    ["its own name, made to point here", { host: "evil.example:8787", origin: "http://evil.example:8787" }],
    ["its origin", { origin: "https://evil.example" }],
    ["an origin that hides it", { origin: "null" }],
    ["the address of its server", { origin: "http://203.0.113.9" }],
    ["a name that looks like this machine's", { origin: "http://127.0.0.1.evil.example" }],
  ])("is refused by %s", async ([_what, headers], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], { upstream: { apiKey: "sk-upstream" } });
    const seen = await ask(perennial, headers as unknown as Record<string, string>);
    expect(seen.status).toBe(403);
    expect(JSON.parse(seen.body).error.message).toMatch(/auth\.keys.*open: true/);
    expect((await send(`${perennial.url}/metrics`, { headers: headers as unknown as Record<string, string> })).status).toBe(403);
    expect(upstream.requests).toHaveLength(0);
  });

  test.for([
    ["its own name, made to point here, where it reads what it takes for its own", { host: "evil.example:8787" }],
    ["what its browser says of where it is", { "sec-fetch-site": "cross-site" }],
  ])("is refused by %s", async ([_what, headers], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], { upstream: { apiKey: "sk-upstream" } });
    for (const method of ["GET", "HEAD"]) {
      const seen = await send(`${perennial.baseUrl}/files/f-1/content`, { method, headers: headers as Record<string, string> });
      expect(seen.status).toBe(403);
    }
    expect((await send(`${perennial.url}/metrics`, { headers: headers as Record<string, string> })).status).toBe(403);
    expect(upstream.requests).toHaveLength(0);
    const local = { host: "localhost:8787", "sec-fetch-site": "same-origin" };
    expect((await send(`${perennial.baseUrl}/files/f-1/content`, { headers: local })).status).toBe(200);
  });

  test("is told from programs, from apps and from pages of this machine", async ({ serve }) => {
    const { perennial } = await serve([WHOLE]);
    for (const headers of [
      { host: "localhost:8787" },
      { host: "[::1]:8787" },
      { host: "perennial:8787" },
      { host: "host.docker.internal:8787" },
      { host: "203.0.113.9:8787" },
      // What a front proxy on this machine passes on; a browser would name the origin of a POST.
      { host: "llm.example" },
      { origin: "http://localhost:3000" },
      { origin: "app://obsidian.md" },
      { origin: "vscode-webview://abc.def" },
    ] as Record<string, string>[])
      expect([headers, (await ask(perennial, headers)).status]).toEqual([headers, 200]);
  });

  test("is served with a key, or where everybody is", async ({ serve, startPerennial }) => {
    const { perennial, upstream } = await serve([WHOLE], { open: true });
    expect((await ask(perennial, { origin: "https://chat.example" })).status).toBe(200);
    const second = await startPerennial(upstream.baseUrl, { auth: { keys: ["key-one"] } });
    expect(
      (await ask(second, { origin: "https://chat.example", host: "llm.example", authorization: "Bearer key-one" })).status,
    ).toBe(200);
  });
});

describe("auth.maxStreamsPerKey", () => {
  const withKey = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

  test("a key with too many open streams is told to come back, while others are served", async ({ serve }) => {
    const { perennial, upstream } = await serve(ENDLESS, { auth: { keys: ["key-one", "key-two"], maxStreamsPerKey: 2 } });
    const streams = [await beginStream(perennial, withKey("key-one")), await beginStream(perennial, { "x-api-key": "key-one" })];
    const seen = await chat(perennial.baseUrl, {}, { headers: withKey("key-one") });
    expect(seen).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect(codeOf(seen)).toBe("overloaded");
    expect(JSON.parse(seen.body).error.message).toContain("auth.maxStreamsPerKey");
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "rejected", failure: "overloaded" });
    streams.push(await beginStream(perennial, withKey("key-two")));
    expect(upstream.requests).toHaveLength(3);
    streams[0]?.end();
    await perennial.exchangeLog(2);
    streams.push(await beginStream(perennial, withKey("key-one")));
    for (const stream of streams) stream.end();
  });

  test("requests whose bodies come late are counted when they have come", async ({ serve }) => {
    const { perennial, upstream } = await serve(ENDLESS, { auth: { keys: ["key-one"], maxStreamsPerKey: 1 } });
    const head = `${POST}authorization: Bearer key-one\r\ncontent-length: ${BODY.length}\r\n\r\n`;
    const seen = await Promise.all([1, 2, 3].map(() => sendRaw(perennial.url, [head, BODY], 2_000)));
    expect(seen.map(({ status }) => status).sort()).toEqual([200, 503, 503]);
    expect(upstream.requests).toHaveLength(1);
  });

  test("nothing is counted without keys", async ({ serve }) => {
    const { perennial } = await serve(ENDLESS, { auth: { maxStreamsPerKey: 1 } });
    const streams = [await beginStream(perennial), await beginStream(perennial), await beginStream(perennial)];
    for (const stream of streams) stream.end();
  });
});

describe("a client that is slow on purpose", () => {
  const slow = { timeouts: { request: "300ms" } };
  test.for([
    ["a body that does not come", [`${POST}content-length: 100\r\n\r\n`]],
    ["a body that drips", [`${POST}content-length: 100\r\n\r\n`, ..."{".repeat(200)]],
    ["a head that drips", ["POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n", ...Array(200).fill("x-a: 1\r\n")]],
    ["a passed-through body that does not come", ["POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"]],
    ["nothing at all", [""]],
  ])("with %s is ended with a 408", async ([_what, parts], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], slow);
    const seen = await sendRaw(perennial.url, parts, 4_000);
    expect(seen).toMatchObject({ status: 408, closed: true });
    expect(seen.text).toContain('"code":"invalid_request"');
    await expect.poll(() => upstream.sockets.size).toBe(0);
  });

  test("and does not close either is not waited for", async ({ serve }) => {
    const { perennial } = await serve([WHOLE], slow);
    const socket = connect({ port: Number(new URL(perennial.url).port), host: "127.0.0.1", allowHalfOpen: true });
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.resume();
    socket.write(POST);
    // It goes on sending, and would for ever.
    const more = setInterval(() => socket.write("x"), 50);
    await gone;
    clearInterval(more);
  });

  test("is not one whose stream is long", async ({ serve }) => {
    const { perennial } = await serve(slowly(chatEvents(Array(15).fill("a")), 100), slow);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "a".repeat(15), done: true });
  });

  test("and never reads its stream is ended by timeouts.total, and its connection some seconds later", async ({ serve }) => {
    const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "a".repeat(60_000) } }] })}\n\n`;
    const { perennial, upstream } = await serve(
      (socket) => {
        begin(socket);
        const fill = (): void => {
          while (socket.writable && socket.write(event));
        };
        socket.on("drain", fill);
        fill();
      },
      { timeouts: { total: "1s" }, limits: { maxStreams: 1 } },
    );
    const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1").pause();
    let gone = false;
    socket.on("error", () => {});
    socket.on("close", () => {
      gone = true;
    });
    socket.write(asked());
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "deadline_exceeded" });
    await expect.poll(() => upstream.sockets.size).toBe(0);
    // The place is free at once.
    expect(perennial.log.filter(({ failure }) => failure === "overloaded")).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    // Read only now: what comes is what the system had taken already, and then the cut.
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.resume();
    await expect.poll(() => gone).toBe(true);
    expect(text).not.toContain("deadline_exceeded");
  });
});

test("more connections than limits.maxClientConnections are closed at once, and those that are open go on", async ({ serve }) => {
  const { perennial } = await serve(ENDLESS, { limits: { maxClientConnections: 2 } });
  const streams = [await beginStream(perennial), await beginStream(perennial)];
  const seen = await sendRaw(perennial.url, asked(), 1_000);
  expect(seen).toMatchObject({ text: "", closed: true });
  for (const stream of streams) stream.end();
  await expect.poll(async () => (await sendRaw(perennial.url, asked())).status).toBe(200);
});
