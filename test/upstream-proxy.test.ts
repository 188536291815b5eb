/** Upstreams that are reached through the proxy that HTTPS_PROXY or HTTP_PROXY names. */
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, expect, vi } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { chatEvents, frame, jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test as fixtureTest, withRows } from "./support/test.ts";

const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;
const TLS = { cert: readFileSync(fixture("server.pem")), key: readFileSync(fixture("server-key.pem")) };
const WHOLE = frame("chunked", chatEvents(["Hello"]));

afterEach(() => {
  vi.unstubAllEnvs();
});

/** @returns the port, and the connections that are open. */
type Listen = (server: Server) => Promise<{ readonly port: number; readonly sockets: ReadonlySet<Socket> }>;

const test = withRows(
  fixtureTest.extend(
    "listen",
    ({ closing }): Listen =>
      async (server) => {
        const sockets = new Set<Socket>();
        server.on("connection", (socket) => {
          sockets.add(socket);
          socket.on("close", () => sockets.delete(socket));
          socket.on("error", () => {});
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        closing({
          close() {
            server.close();
            for (const socket of sockets) socket.destroy();
          },
        });
        return { port: (server.address() as AddressInfo).port, sockets };
      },
  ),
);

type Answer = (socket: Socket, head: string, number: number) => unknown;

/** Answers each head that comes, of requests with short bodies. */
function onHeads(answer: Answer): (socket: Socket) => void {
  let number = 0;
  return (socket) => {
    let received = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(received.slice(0, end))?.[1] ?? 0);
      if (end === -1 || received.length < end + 4 + length) return;
      const head = received.slice(0, end);
      received = "";
      answer(socket, head, ++number);
    });
  };
}

/** An https upstream, found as `upstream.test` by whoever asks the proxy. */
const startSecureUpstream = async (listen: Listen, answer: Answer): Promise<number> => {
  const server = createTlsServer(TLS, onHeads(answer));
  server.on("tlsClientError", () => {});
  return (await listen(server)).port;
};

/** A proxy that opens tunnels, all of them to this machine, and keeps what it was asked. */
async function startTunnelProxy(listen: Listen, tls = false): Promise<{ heads: string[]; port: number }> {
  const heads: string[] = [];
  const onSocket = (socket: Socket): void => {
    socket.on("error", () => {});
    socket.once("data", (chunk) => {
      const head = chunk.toString("latin1");
      heads.push(head);
      const port = Number(/^CONNECT [^ ]+:(\d+) /.exec(head)?.[1]);
      const target = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n");
        socket.pipe(target).pipe(socket);
      });
      target.on("error", () => socket.destroy());
      socket.on("close", () => target.destroy());
    });
  };
  const { port } = await listen(tls ? createTlsServer(TLS, onSocket) : createServer(onSocket));
  return { heads, port };
}

const secure = (port: number): string => `https://upstream.test:${port}/v1`;
const trusted = { upstream: { ca: fixture("ca.pem") } };
const messageOf = ({ body }: { body: string }): string => JSON.parse(body).error.message;

test("an https upstream is reached through a tunnel, in which only it and Perennial can read", async ({
  startPerennial,
  listen,
}) => {
  const upstream = await startSecureUpstream(listen, (socket) => socket.write(WHOLE));
  const proxy = await startTunnelProxy(listen);
  vi.stubEnv("HTTPS_PROXY", `http://us%20er:p%40ss@127.0.0.1:${proxy.port}`);
  const perennial = await startPerennial(secure(upstream), { upstream: { ...trusted.upstream, apiKey: "sk-upstream" } });
  for (let i = 0; i < 3; i++)
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  // One tunnel serves them all.
  expect(proxy.heads).toEqual([
    `CONNECT upstream.test:${upstream} HTTP/1.1\r\nhost: upstream.test:${upstream}\r\n` +
      `proxy-authorization: Basic ${Buffer.from("us er:p@ss").toString("base64")}\r\n\r\n`,
  ]);
  expect(JSON.stringify(perennial.log)).toContain(`127.0.0.1:${proxy.port}`);
  expect(JSON.stringify(perennial.log)).not.toMatch(/p@ss|p%40ss/);
});

test("the proxy may speak TLS itself", async ({ spawnPerennial, listen }) => {
  vi.stubEnv("NODE_EXTRA_CA_CERTS", "");
  const upstream = await startSecureUpstream(listen, (socket) => socket.write(WHOLE));
  const proxy = await startTunnelProxy(listen, true);
  // Its certificate must be trusted by the system, which a test cannot arrange in its own process.
  const running = await spawnPerennial(["--config", fixture("upstream-with-ca.yaml"), "--port", "0"], {
    PERENNIAL_UPSTREAM: secure(upstream),
    https_proxy: `https://localhost:${proxy.port}`,
    NODE_EXTRA_CA_CERTS: fixture("ca.pem"),
  });
  const seen = await chat(`${running.url}/v1`);
  expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
  expect(proxy.heads).toHaveLength(1);
});

test("a tunnel that died while it was not in use is replaced at once, and no attempt is counted", async ({
  startPerennial,
  listen,
}) => {
  const upstream = await startSecureUpstream(listen, (socket, _head, number) => {
    if (number === 2) socket.destroy();
    else socket.write(WHOLE);
  });
  const proxy = await startTunnelProxy(listen);
  vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${proxy.port}`);
  const perennial = await startPerennial(secure(upstream), { ...trusted, retry: { maxAttempts: 1 } });
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 200, headers: { "x-perennial-attempts": "1" } });
  expect(proxy.heads).toHaveLength(2);
});

test("a new tunnel that dies is an attempt that failed", async ({ startPerennial, listen }) => {
  const upstream = await startSecureUpstream(listen, (socket) => socket.destroy());
  const proxy = await startTunnelProxy(listen);
  vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${proxy.port}`);
  const perennial = await startPerennial(secure(upstream), { ...trusted, retry: { maxAttempts: 1 } });
  expect((await chat(perennial.baseUrl)).status).toBe(502);
  expect(proxy.heads).toHaveLength(1);
});

test("an upstream that the tunnel leads to must show its own certificate", async ({ startPerennial, listen }) => {
  const upstream = await startSecureUpstream(listen, (socket) => socket.write(WHOLE));
  const proxy = await startTunnelProxy(listen);
  vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${proxy.port}`);
  const perennial = await startPerennial(`https://other.test:${upstream}/v1`, { ...trusted, retry: { maxAttempts: 1 } });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  expect(messageOf(seen)).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
});

test.for<[string, (socket: Socket) => unknown, RegExp]>([
  [
    "refuses",
    (socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
    /The proxy \(HTTPS_PROXY\) did not open a tunnel: it answered 407/,
  ],
  ["speaks something else", (socket) => socket.end("SSH-2.0-x\r\n\r\n"), /did not answer in HTTP/],
  ["never stops to answer", (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"a".repeat(20_000)}`), /did not answer in HTTP/],
  ["says too much", (socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), /sent more than its answer/],
  ["hangs up", (socket) => socket.destroy(), /the proxy \(HTTPS_PROXY\) (closed the connection|could not be reached)/i],
  ["says nothing", () => {}, /did not accept a connection in time/],
])("a proxy that %s is what the client is told of", async ([what, answer, message], { startPerennial, listen }) => {
  const { port, sockets } = await listen(createServer((socket) => socket.once("data", () => answer(socket))));
  vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${port}`);
  const perennial = await startPerennial("https://upstream.test/v1", {
    // Long enough for more than one timeouts.connect.
    retry: { outage: what === "says nothing" ? "3s" : "500ms" },
    timeouts: { connect: "200ms" },
  });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  // It is waited for, unless it is the password that it waits for.
  const attempts = Number(seen.headers["x-perennial-attempts"]);
  if (what === "refuses") expect(attempts).toBe(1);
  else expect(attempts).toBeGreaterThan(1);
  expect(messageOf(seen)).toMatch(message);
  await expect.poll(() => sockets.size).toBe(0);
});

test("a proxy that is not there is what the client is told of", async ({ startPerennial }) => {
  vi.stubEnv("HTTPS_PROXY", "http://127.0.0.1:1");
  vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:1");
  for (const scheme of ["https", "http"]) {
    const perennial = await startPerennial(`${scheme}://upstream.test/v1`, { retry: { maxAttempts: 1 } });
    const seen = await chat(perennial.baseUrl);
    expect(seen.status).toBe(502);
    expect(messageOf(seen)).toContain(`The proxy (${scheme.toUpperCase()}_PROXY) could not be reached (ECONNREFUSED)`);
  }
});

test("an http upstream is asked for by its whole URL, and its answer is judged as ever", async ({ startPerennial, listen }) => {
  const heads: string[] = [];
  const { port } = await listen(
    createServer(
      onHeads((socket, head, number) => {
        heads.push(head);
        if (number === 1) socket.write(WHOLE);
        else if (number === 2) socket.destroy();
        else if (number === 3) socket.end(`${STREAM_HEAD}${chatEvents(["Hel"], { finish: null, done: false }).join("")}`);
        else socket.write(jsonReply("{}", "407 Proxy Authentication Required", "proxy-authenticate: Basic\r\n"));
      }),
    ),
  );
  vi.stubEnv("http_proxy", `user:pass@127.0.0.1:${port}`);
  const perennial = await startPerennial("http://upstream.test:8000/v1", { retry: { maxAttempts: 1 } });
  const headers = { host: "localhost", "proxy-authorization": "Basic Y2xpZW50" };
  expect(readStream((await chat(perennial.baseUrl, {}, { headers })).body)).toMatchObject({ text: "Hello", done: true });
  // The kept connection dies at the second request, which is sent again at once; then the stream is cut.
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hel", errorCode: "stream_truncated" });
  const refused = await send(`${perennial.baseUrl}/models?a=1`);
  expect(refused.status).toBe(502);
  expect(messageOf(refused)).toContain("407");
  expect(heads[0]).toMatch(/^POST http:\/\/upstream\.test:8000\/v1\/chat\/completions HTTP\/1\.1\r\n/);
  expect(heads[0]).toContain("host: upstream.test:8000\r\n");
  expect(heads[0]).toContain(`proxy-authorization: Basic ${Buffer.from("user:pass").toString("base64")}`);
  expect(heads[0]).not.toContain("Y2xpZW50");
  expect(heads[3]).toMatch(/^GET http:\/\/upstream\.test:8000\/v1\/models\?a=1 HTTP\/1\.1\r\n/);
});

test.for(["http_proxy", "HTTP_PROXY"])(
  "a password in %s that is not percent-encoded is explained, and not shown",
  async (name, { startPerennial }) => {
    vi.stubEnv(name, "http://user:pa%ss@127.0.0.1:3128");
    await expect(startPerennial("http://upstream.test/v1")).rejects.toThrow(
      `${name}: expected its user name and password percent-encoded, with %25 for a plain %`,
    );
  },
);

test("a value that names no proxy is refused at the start, and not quoted", async ({ startPerennial }) => {
  vi.stubEnv("HTTPS_PROXY", "socks5://user:pass@127.0.0.1:1080");
  await expect(startPerennial("https://upstream.test/v1")).rejects.toThrow(
    /^HTTPS_PROXY: expected the URL of an HTTP proxy(?!.*pass)/,
  );
});
