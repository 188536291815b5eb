/** Request bodies at the edge: compressed ones, absurd ones, those that take a place while they are read; and what is no HTTP request at all. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatEvents, frame, type RawUpstream, SSE_HEAD, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream((socket) => socket.write(frame("chunked", chatEvents(["Hello"]))));
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const post = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Seen> =>
  send(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)), ...headers },
  });
const codeOf = ({ body }: Seen): string => JSON.parse(body).error.code;

const ASKED = Buffer.from(
  JSON.stringify({ model: "packed", stream: true, messages: [{ role: "user", content: "a".repeat(2_000) }] }),
);
const CODINGS: [string, (bytes: Buffer) => Buffer][] = [
  ["gzip", gzipSync],
  ["x-gzip", gzipSync],
  ["GZIP", gzipSync],
  ["deflate", deflateSync],
  ["deflate", deflateRawSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
  ["deflate, gzip", (bytes) => gzipSync(deflateSync(bytes))],
];

describe("a compressed request body", () => {
  test.each(CODINGS)("in %s is read, and goes on as it came", async (coding, compress) => {
    upstream = await startRawUpstream((socket, { number }) =>
      sendFramed(socket, "chunked", number === 1 ? [] : chatEvents(["Hello"])),
    );
    perennial = await startPerennial(upstream.baseUrl);
    const packed = compress(ASKED);
    const seen = await post(packed, { "content-encoding": coding });
    // Tried again unseen: so it was read, and is known to be streamed.
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    for (const { head } of upstream.requests) {
      expect(head.toLowerCase()).toContain(`content-encoding: ${coding.toLowerCase()}`);
      expect(head).toContain(`content-length: ${packed.length}`);
    }
    expect(await perennial.exchangeLog()).toMatchObject({ model: "packed", dialect: "openai-chat" });
  });

  test("is sent plain, without its coding, where it has to be rewritten", async () => {
    await serve({ nonStreaming: "viaStream" });
    const seen = await post(gzipSync(JSON.stringify({ model: "packed", messages: [], seed: 12345678901234567890n.toString() })), {
      "content-encoding": "gzip",
    });
    expect(JSON.parse(seen.body).choices[0].message.content).toBe("Hello");
    expect(upstream.requests[0]?.head).not.toMatch(/content-encoding/i);
    expect(upstream.requests[0]?.json).toMatchObject({ model: "packed", stream: true });
  });

  test.each(CODINGS)("in %s that unfolds beyond limits.maxBodyBytes is refused, and not unfolded", async (coding, compress) => {
    await serve({ limits: { maxBodyBytes: "1MiB" } });
    const at = (bytes: number): Buffer => compress(Buffer.from(`{"stream":true,"user":"${"a".repeat(bytes - 25)}"}`));
    expect((await post(at(1_048_576), { "content-encoding": coding })).status).toBe(200);
    for (const bytes of [1_048_577, 20_000_000]) {
      const seen = await post(at(bytes), { "content-encoding": coding });
      expect(seen.status).toBe(413);
      expect(codeOf(seen)).toBe("body_too_large");
    }
    expect(upstream.requests).toHaveLength(1);
  });

  test.each<[string, string | Buffer, string, number]>([
    ["in a coding that nobody knows", ASKED, "lzma", 415],
    ["in two codings, of which one is not known", gzipSync(ASKED), "lzma, gzip", 415],
    ["in more codings than make sense", gzipSync(gzipSync(gzipSync(ASKED))), "gzip, gzip, gzip", 415],
    ["that is not compressed", ASKED, "gzip", 400],
    ["that breaks off", gzipSync(ASKED).subarray(0, 40), "gzip", 400],
    ["that is no JSON inside", zstdCompressSync(Buffer.from("{")), "zstd", 400],
    ["that is no UTF-8 inside", gzipSync(Buffer.from('{"a":"\xff"}', "latin1")), "gzip", 400],
  ])("%s is refused", async (_what, body, coding, status) => {
    await serve();
    const seen = await post(body, { "content-encoding": coding });
    expect(seen.status).toBe(status);
    expect(codeOf(seen)).toBe("invalid_request");
    expect(upstream.requests).toHaveLength(0);
  });

  test("called identity is plain", async () => {
    await serve();
    expect((await post(ASKED, { "content-encoding": "identity" })).status).toBe(200);
  });
});

describe("a body that holds absurdly much is refused before it is parsed", () => {
  const times = (unit: string, count: number): string => `{"stream":true,"x":[${Array(count).fill(unit).join(",")}]}`;
  const fields = (count: number): string =>
    `{"stream":true,${Array.from({ length: count - 1 }, (_, index) => `"${index}":1`).join(",")}}`;

  test.each<[string, string, string]>([
    ["objects", times("{}", 249_998), times("{}", 249_999)],
    ["arrays", times("[]", 249_998), times("[]", 249_999)],
    ["fields", fields(300_000), fields(300_001)],
    ["values", times("1", 4_000_000), times("1", 4_000_001)],
    ["levels", `{"x":${"[".repeat(199)}${"]".repeat(199)}}`, `{"x":${"[".repeat(200)}${"]".repeat(200)}}`],
  ])("by its %s, one more than there may be", async (_what, within, beyond) => {
    await serve();
    expect((await post(within.replace('{"x"', '{"stream":true,"x"'))).status).toBe(200);
    const seen = await post(beyond);
    expect(seen.status).toBe(400);
    expect(codeOf(seen)).toBe("invalid_request");
    expect(upstream.requests).toHaveLength(1);
  });

  test.each([
    ["brackets, commas and colons in a text", "{[,:".repeat(300_000)],
    ["escaped quotes before brackets", '"{'.repeat(300_000)],
    ["backslashes before quotes", '\\"{\\\\'.repeat(200_000)],
    ["a long text that ends with backslashes", `${"{".repeat(300_000)}\\\\`],
    ["a text in other letters", "回答「[{".repeat(300_000)],
  ])("and not by %s", async (_what, content) => {
    await serve();
    const seen = await post(
      JSON.stringify({
        stream: true,
        messages: [
          { role: "user", content },
          { role: "user", content: "x" },
        ],
      }),
    );
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
  });

  test("31 MiB of empty objects do not stop the others", async () => {
    await serve();
    const flood = Buffer.from(`[${"{},".repeat(10_800_000).slice(0, -1)}]`);
    let latest = performance.now();
    let longest = 0;
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - latest);
      latest = performance.now();
    }, 5);
    expect((await post(flood)).status).toBe(400);
    clearInterval(watch);
    // Parsed, it took 4 to 6 s.
    expect(longest).toBeLessThan(1_500);
  });
});

describe("a place is taken before the body is read", () => {
  const POST = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
  const BODY = '{"stream":true}';
  const HEAD = `${POST}content-length: ${BODY.length}\r\n`;

  test("so that uploads of one key are bounded as its streams are, and a refused one gives it back", async () => {
    await serve({ auth: { keys: ["key-one", "key-two"], maxStreamsPerKey: 2 } });
    const withKey = `authorization: Bearer key-one\r\n\r\n`;
    const uploads = [1, 2].map(() => sendRaw(perennial.url, [HEAD + withKey, "", "", "", "", "", "", "", BODY], 1_000));
    await new Promise((resolve) => setTimeout(resolve, 60));
    const third = await sendRaw(perennial.url, HEAD + withKey);
    expect(third.status).toBe(503);
    expect(third.text).toContain("auth.maxStreamsPerKey");
    expect((await chat(perennial.baseUrl, {}, { headers: { authorization: "Bearer key-two" } })).status).toBe(200);
    expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual([200, 200]);
    const headers = { authorization: "Bearer key-one", "content-length": "1" };
    for (let time = 0; time < 5; time++) expect((await post("{", headers)).status).toBe(400);
    expect((await chat(perennial.baseUrl, {}, { headers: { authorization: "Bearer key-one" } })).status).toBe(200);
  });

  test("so that uploads are bounded by limits.maxStreams, and a client that leaves in mid-upload gives it back", async () => {
    await serve({ limits: { maxStreams: 1 } });
    const left = sendRaw(perennial.url, `${HEAD}\r\n{`, 150);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await chat(perennial.baseUrl)).status).toBe(503);
    await left;
    await expect.poll(async () => (await chat(perennial.baseUrl)).status).toBe(200);
  });

  test("and a body that comes too slowly gives it back", async () => {
    await serve({ limits: { maxStreams: 1 }, timeouts: { request: "300ms" } });
    expect((await sendRaw(perennial.url, `${HEAD}\r\n{`, 4_000)).status).toBe(408);
    await expect.poll(async () => (await chat(perennial.baseUrl)).status).toBe(200);
  });

  test("and a whole exchange holds it to its end", async () => {
    upstream = await startRawUpstream((socket) =>
      socket.write(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hello"], { finish: null, done: false }).join("")}`),
    );
    perennial = await startPerennial(upstream.baseUrl, { limits: { maxStreams: 1 } });
    const leave = await new Promise<() => void>((resolve) => {
      void chat(perennial.baseUrl, {}, { onRead: (_body, abort) => resolve(abort) }).catch(() => {});
    });
    expect((await chat(perennial.baseUrl)).status).toBe(503);
    leave();
    await perennial.exchangeLog(2);
    const next = await new Promise<string>((resolve) => {
      const onRead = (body: string, abort: () => void): void => {
        abort();
        resolve(body);
      };
      void chat(perennial.baseUrl, {}, { onRead }).catch(() => {});
    });
    expect(next).toContain("Hello");
  });
});

test.each(["websocket", "WebSocket", "h2c, websocket"])(
  "an upgrade to %s is answered 426, with what is spoken here",
  async (upgrade) => {
    await serve({ auth: { keys: ["key-one"] } });
    const seen = await sendRaw(
      perennial.url,
      `GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: ${upgrade}\r\nsec-websocket-key: dGVzdA==\r\nsec-websocket-version: 13\r\n\r\n`,
      2_000,
    );
    expect(seen).toMatchObject({ status: 426, closed: true });
    expect(seen.text).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
    expect(seen.text).toMatch(/\r\nupgrade: HTTP\/1\.1\r\n/i);
    expect(seen.text).toMatch(/\r\nconnection: upgrade, close\r\n/i);
    expect(seen.text).toContain("WebSocket");
    expect(seen.text).toContain('"code":"invalid_request"');
    expect(upstream.requests).toHaveLength(0);
  },
);
