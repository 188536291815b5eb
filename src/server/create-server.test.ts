/** What the server answers by itself, and what becomes of an answer that its client may come back to. */
import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pino from "pino";
import { expect, it, onTestFinished } from "vitest";
import { chat, send } from "../../test/support/client.ts";
import { chatEvents, type RawUpstream, SSE_HEAD, startRawUpstream } from "../../test/support/raw-upstream.ts";
import { configSchema } from "../config/schema.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { createServer, type ServerSettings } from "./create-server.ts";
import { OpenExchanges } from "./open-exchanges.ts";

function front(settings: Partial<ServerSettings> = {}) {
  const exchanges = new OpenExchanges(9, 0);
  const current = (): ServerSettings =>
    ({
      mount: "/v1",
      keyOf: () => ({ id: "", client: undefined }),
      localOnly: false,
      corsOrigins: [],
      isWarm: () => true,
      metrics: undefined,
      dashboard: undefined,
      context: { observer: {} },
      ...settings,
    }) as unknown as ServerSettings;
  const app = createServer({ open: exchanges, tls: undefined, current });
  onTestFinished(() => app.close());
  return {
    exchanges,
    async ask(url: string, headers: Record<string, string> = {}, method: "GET" | "OPTIONS" = "GET") {
      const { statusCode, headers: got, body } = await app.inject({ method, url, headers });
      const said = body === "" ? undefined : JSON.parse(body);
      return { status: statusCode, headers: got, said: said?.error ? [said.error.code, said.error.message] : said };
    },
  };
}

const KEY_NEEDED = ["unauthorized", "A valid key is needed: send it as `Authorization: Bearer <key>`."];
const NO_METRICS = ["not_found", "There is nothing for GET here."];
const ABOUT = { name: "Perennial", what: "a proxy that makes LLM streams unbreakable", api: "/v1", health: "/healthz" };
const noKey = (): undefined => undefined;
const secret = { public: false, read: async () => ({ contentType: "application/json", body: "{}" }) };

it.each<[string, string, Partial<ServerSettings>, number, unknown]>([
  ["what it is", "/", {}, 200, ABOUT],
  ["that it lives", "/healthz", { keyOf: noKey }, 200, { status: "ok" }],
  ["that it is ready", "/readyz", { keyOf: noKey }, 200, { status: "ready" }],
  ["that it will be", "/readyz", { isWarm: () => Promise.resolve(false) }, 503, { status: "warming up" }],
  ["that it measures nothing", "/metrics", {}, 404, NO_METRICS],
  ["not even that to strangers", "/metrics", { keyOf: noKey }, 401, KEY_NEEDED],
  ["what it measures", "/metrics", { metrics: secret }, 200, {}],
  ["not to strangers", "/metrics", { metrics: secret, keyOf: noKey }, 401, KEY_NEEDED],
  ["but where all may know", "/metrics", { metrics: { ...secret, public: true }, keyOf: noKey }, 200, {}],
  ["that a key is needed, whatever is asked", "/v1/x", { keyOf: noKey }, 401, KEY_NEEDED],
  ["that a path is not one", "/v1/%zz", {}, 400, ["invalid_request", "The path is not spelled as URLs are."]],
  ["not even that to strangers", "/v1/%zz", { keyOf: noKey }, 401, KEY_NEEDED],
])("says %s at %s", async (_what, path, settings, status, said) => {
  const answer = await front(settings).ask(path);
  expect([answer.status, answer.said]).toEqual([status, said]);
  expect(answer.headers["x-perennial-id"]).toMatch(/^[0-9a-f-]{36}$/);
});

it("is not ready while it drains, however warm", async () => {
  const { ask, exchanges } = front();
  exchanges.draining = true;
  const { status, said } = await ask("/readyz");
  expect([status, said]).toEqual([503, { status: "draining" }]);
});

it("closes on a head that is odd, names what it speaks instead of WebSocket, and answers a browser that asks first", async () => {
  const { ask } = front({ localOnly: true });
  const odd = await ask("/healthz", { "transfer-encoding": "gzip, chunked" });
  expect([odd.status, odd.headers.connection]).toEqual([501, "close"]);
  const socket = await ask("/healthz", { upgrade: "websocket", connection: "upgrade" });
  expect([socket.status, socket.headers.upgrade, socket.headers.connection]).toEqual([426, "HTTP/1.1", "upgrade, close"]);
  const asks = { "access-control-request-method": "POST" };
  const ours = await ask("/v1/x", { ...asks, origin: "http://localhost:1" }, "OPTIONS");
  expect([ours.status, ours.headers["access-control-allow-origin"], ours.headers["access-control-max-age"]]).toEqual([
    204,
    "http://localhost:1",
    "7200",
  ]);
  const theirs = await ask("/v1/x", { ...asks, origin: "http://evil.example" }, "OPTIONS");
  expect([theirs.status, theirs.headers["access-control-allow-origin"], theirs.said[0]]).toEqual([
    403,
    undefined,
    "unauthorized",
  ]);
});

/** A whole server in front of an upstream. */
async function behind(upstream: RawUpstream, settings: object) {
  const config = configSchema.parse({ upstreams: [{ baseUrl: upstream.baseUrl }], ...settings });
  const runtime = await openRuntime(config, pino({ level: "silent" }));
  const app = createServer({ open: runtime.open, tls: undefined, current: () => runtime.current().settings });
  onTestFinished(async () => {
    await app.close();
    await runtime.drain();
    await runtime.close();
    await upstream.close();
  });
  return { runtime, app, url: await app.listen({ host: "127.0.0.1", port: 0 }) };
}

it("refuses a request whose body was still on its way when it began to drain", async () => {
  const upstream = await startRawUpstream((socket) => socket.end());
  const { runtime, app, url } = await behind(upstream, {});
  const body = JSON.stringify({ model: "m", messages: [] });
  const headers = { "content-length": body.length };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(`${url}/v1/chat/completions`, { method: "POST", headers, agent: false }, resolve).on("error", reject);
    asked.write(body.slice(0, 9));
    app.server.once("request", async () => {
      await sleep(20);
      runtime.open.draining = true;
      asked.end(body.slice(9));
    });
  });
  const said = JSON.parse(String(Buffer.concat(await answer.toArray())));
  expect([answer.statusCode, answer.headers.connection, said.error.code]).toEqual([503, "close", "draining"]);
  expect(upstream.requests).toEqual([]);
});

it("ends an answer that is kept for its client as well, where there is no room for its request any more", async () => {
  const upstream = await startRawUpstream((socket) =>
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hello"], { finish: null, done: false }).join("")}`),
  );
  const { runtime, app, url } = await behind(upstream, { replay: { linger: "10m" }, limits: { maxHeldBytes: "2MiB" } });
  const others = runtime.current().settings.context.held.open();
  const left = new Promise<string>((resolve) => {
    const onRead = (body: string, leave: () => void): void => {
      resolve(/id: (\w+):/.exec(body)?.[1] ?? "");
      leave();
    };
    const headers = { "x-perennial-replay": "1" };
    chat(`${url}/v1`, { user: "x".repeat(2 ** 20) }, { headers, onRead }).catch(() => {});
  });
  const other = await send(`${url}/v1/streams/${await left}`, { method: "PUT" });
  expect([other.status, JSON.parse(other.body).error.message]).toEqual([404, "There is nothing for PUT here."]);
  await expect.poll(() => promisify(app.server.getConnections.bind(app.server))()).toBe(0);
  // Its client could come back for it for ten minutes.
  await sleep(20);
  expect(upstream.sockets.size).toBe(1);
  others.add(2 ** 21);
  await expect.poll(() => upstream.sockets.size).toBe(0);
});
