/** Pages in browsers: who may use Perennial, and whether they can read what it says. */
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatEvents, frame, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

const PAGE = "http://localhost:3000";
const WHOLE = frame("chunked", chatEvents(["Hello"]));

async function serve(settings: Record<string, unknown> = {}, answer: string | Buffer = WHOLE): Promise<void> {
  upstream = await startRawUpstream((socket) => socket.write(answer));
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const preflight = (origin: string, path = "/v1/chat/completions", headers: Record<string, string> = {}): Promise<Seen> =>
  send(perennial.url + path, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,x-stainless-os",
      ...headers,
    },
  });
const allowed = ({ headers }: Seen): unknown => headers["access-control-allow-origin"];

describe("a preflight", () => {
  test("is answered here, without a key, and the upstream is not asked", async () => {
    await serve({ auth: { keys: ["key-one"] } });
    for (const path of ["/v1/chat/completions", "/v1/files/f-1", "/metrics", "/"]) {
      const seen = await preflight(PAGE, path);
      expect([path, seen.status, seen.body]).toEqual([path, 204, ""]);
      expect(seen.headers).toMatchObject({
        "access-control-allow-origin": PAGE,
        "access-control-allow-headers": "authorization,content-type,x-stainless-os",
        vary: expect.stringMatching(/origin/i),
      });
      expect(seen.headers["access-control-allow-methods"]).toMatch(/\bPOST\b.*\bDELETE\b/);
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("is answered while the upstream is down, and while Perennial is full", async () => {
    await serve({ limits: { maxStreams: 1 } });
    await upstream.close();
    expect((await preflight(PAGE)).status).toBe(204);
  });

  test("of a page that may not use the proxy is refused, and its browser hears nothing that lets it in", async () => {
    await serve();
    for (const origin of ["https://evil.example", "null", "http://192.168.1.20:3000"]) {
      const seen = await preflight(origin);
      expect([origin, seen.status, allowed(seen)]).toEqual([origin, 403, undefined]);
      expect(JSON.parse(seen.body).error.message).toMatch(/cors\.origins/);
    }
  });

  test("that asks for this machine from another network is told that it may", async () => {
    await serve({ cors: { origins: ["https://chat.example"] } });
    const seen = await preflight("https://chat.example", "/v1/models", { "access-control-request-private-network": "true" });
    expect(seen.headers["access-control-allow-private-network"]).toBe("true");
    expect((await preflight("https://chat.example")).headers["access-control-allow-private-network"]).toBeUndefined();
  });

  test("is only what a browser sends: other OPTIONS go to the upstream, with a key", async () => {
    await serve({ auth: { keys: ["key-one"] } });
    expect((await send(`${perennial.baseUrl}/models`, { method: "OPTIONS" })).status).toBe(401);
    await send(`${perennial.baseUrl}/models`, { method: "OPTIONS", headers: { authorization: "Bearer key-one" } });
    expect(upstream.requests[0]?.head).toContain("OPTIONS /v1/models");
  });
});

describe("a page can read", () => {
  const isReadable = (seen: Seen): void => {
    expect(allowed(seen)).toBe(PAGE);
    expect(seen.headers["access-control-expose-headers"]).toMatch(/x-perennial-id/);
  };
  const headers = { origin: PAGE };

  test.each([
    ["an answer", "20s", false],
    ["one that a heartbeat went before", "50ms", true],
  ])("%s", async (_what, after, hasHeartbeat) => {
    upstream = await startRawUpstream((socket) => void setTimeout(() => socket.write(WHOLE), hasHeartbeat ? 300 : 0));
    perennial = await startPerennial(upstream.baseUrl, { heartbeat: { after, every: "50ms" } });
    const seen = await chat(perennial.baseUrl, {}, { headers });
    isReadable(seen);
    expect(seen.body.includes(": keep-alive")).toBe(hasHeartbeat);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
  });

  test("whatever is refused: 400, 401, 404, 413, 502", async () => {
    await serve({ limits: { maxBodyBytes: "100B" }, retry: { maxAttempts: 1 }, auth: { keys: ["key-one"] } });
    const key = { ...headers, authorization: "Bearer key-one" };
    const url = `${perennial.baseUrl}/chat/completions`;
    const seen = [
      await send(url, { method: "POST", headers }),
      await send(url, { method: "POST", headers: { ...key, "content-length": "1" }, body: "{" }),
      await send(url, { method: "POST", headers: { ...key, "content-length": "200" }, body: "a".repeat(200) }),
      await send(`${perennial.url}/nothing`, { headers: key }),
      await send(`${perennial.baseUrl}/%zz`, { headers: key }),
    ];
    await upstream.close();
    seen.push(await chat(perennial.baseUrl, { messages: [] }, { headers: key }));
    expect(seen.map(({ status }) => status)).toEqual([401, 400, 413, 404, 400, 502]);
    for (const each of seen) isReadable(each);
  });

  test("a 426", async () => {
    await serve();
    const seen = await sendRaw(
      perennial.url,
      `GET /v1/x HTTP/1.1\r\nhost: localhost\r\norigin: ${PAGE}\r\nupgrade: websocket\r\n\r\n`,
    );
    expect(seen.text).toContain(`access-control-allow-origin: ${PAGE}\r\n`);
  });

  test("a 408, for an upload that comes too slowly", async () => {
    await serve({ timeouts: { request: "300ms" } });
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\norigin: ${PAGE}\r\ncontent-length: 9\r\n\r\n{`;
    const seen = await sendRaw(perennial.url, head, 4_000);
    expect(seen.status).toBe(408);
    expect(seen.text).toContain(`access-control-allow-origin: ${PAGE}\r\n`);
  });

  test("the probes", async () => {
    await serve();
    isReadable(await send(`${perennial.url}/healthz`, { headers }));
    isReadable(await send(`${perennial.url}/`, { headers }));
  });

  test("what the upstream says of it, once: its own word stands", async () => {
    const theirs = "access-control-allow-origin: *\r\naccess-control-expose-headers: x-theirs\r\nvary: accept-encoding\r\n";
    await serve({}, frame("chunked", chatEvents(["Hello"]), SSE_HEAD + theirs));
    const seen = await sendRaw(
      perennial.url,
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\norigin: ${PAGE}\r\ncontent-length: 15\r\n\r\n{"stream":true}`,
    );
    expect(seen.text.match(/access-control-allow-origin: .*/gi)).toEqual(["access-control-allow-origin: *"]);
    expect(seen.text.match(/access-control-expose-headers: .*/gi)).toEqual(["access-control-expose-headers: x-theirs"]);
    expect(seen.text.match(/vary: .*/gi)).toHaveLength(1);
  });

  test("and a program that names no origin is told nothing of it", async () => {
    await serve();
    expect(Object.keys((await chat(perennial.baseUrl)).headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("without keys, a page", () => {
  const statusFor = async (origin: string): Promise<number> =>
    (await chat(perennial.baseUrl, {}, { headers: { origin } })).status;

  test.each([
    "http://localhost",
    "http://localhost:3000",
    "http://LOCALHOST:3000",
    "https://app.localhost:5173",
    "http://127.0.0.1:8080",
    "http://127.8.9.1",
    "http://[::1]:3000",
    "app://obsidian.md",
    "vscode-webview://abc.def",
    "chrome-extension://abcdef",
    "moz-extension://abcdef",
    "tauri://localhost",
  ])("of this machine may use it: %s", async (origin) => {
    await serve();
    const seen = await chat(perennial.baseUrl, {}, { headers: { origin } });
    expect([seen.status, allowed(seen)]).toEqual([200, origin]);
  });

  test.each([
    "http://192.168.1.20:3000",
    "http://10.0.0.1",
    "http://172.16.3.4:8080",
    "http://169.254.1.1",
    "http://[fd00::1]",
    "http://[fe80::1]",
    "http://[::ffff:192.168.1.20]",
    "http://router",
    "http://nas.local",
    "http://build.internal",
    "http://box.lan",
    "https://evil.example",
    "https://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evillocalhost",
    "HTTPS://EVIL.EXAMPLE",
    "http://",
    "null",
  ])("from elsewhere may not: %s", async (origin) => {
    await serve();
    const seen = await chat(perennial.baseUrl, {}, { headers: { origin } });
    expect([seen.status, allowed(seen)]).toEqual([403, undefined]);
    expect(upstream.requests).toHaveLength(0);
  });

  test("that is named may, until it is not named any more", async () => {
    await serve({ cors: { origins: ["https://Chat.example:443/", "http://192.168.1.20:3000"] } });
    expect(await statusFor("https://chat.example")).toBe(200);
    expect(await statusFor("http://192.168.1.20:3000")).toBe(200);
    expect(await statusFor("http://192.168.1.20:3001")).toBe(403);
    expect(await statusFor("http://chat.example")).toBe(403);
    expect(await statusFor("https://a.chat.example")).toBe(403);
    expect(await statusFor("null")).toBe(403);
  });

  test("may when everybody may, or with a key", async () => {
    await serve({ open: true });
    for (const origin of ["https://chat.example", "null"]) {
      const seen = await chat(perennial.baseUrl, {}, { headers: { origin } });
      expect([seen.status, allowed(seen)]).toEqual([200, origin]);
      expect((await preflight(origin)).status).toBe(204);
    }
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl, { auth: { keys: ["key-one"] } });
    const headers = { origin: "https://chat.example", authorization: "Bearer key-one" };
    const seen = await chat(perennial.baseUrl, {}, { headers });
    expect([seen.status, allowed(seen)]).toEqual([200, "https://chat.example"]);
  });
});
