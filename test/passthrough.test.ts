/** What no dialect claims goes through as it is: bodies of any size, clean headers, and never a clean end for a broken body. */

import { createHash, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { chat, type Seen, send } from "./support/client.ts";
import { startHttpServer } from "./support/http-server.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { chatAnswer, jsonReply } from "./support/raw-upstream.ts";
import { type Tools, test } from "./support/test.ts";

test("GET /v1/models arrives with status, headers and body as the upstream sent them", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) =>
    socket.write(jsonReply('{"object":"list","data":[]}', "200 OK", "x-request-id: abc\r\nkeep-alive: timeout=5\r\n")),
  );
  const seen = await send(`${perennial.baseUrl}/models?limit=2`, {
    headers: { authorization: "Bearer sk-mine", "proxy-authorization": "Basic x" },
  });
  expect(seen).toMatchObject({
    status: 200,
    body: '{"object":"list","data":[]}',
    headers: { "x-request-id": "abc", "content-length": "27" },
  });
  const head = upstream.requests[0]?.head ?? "";
  expect(head).toContain("GET /v1/models?limit=2 HTTP/1.1");
  expect(head).toContain("authorization: Bearer sk-mine");
  expect(head).not.toContain("proxy-authorization");
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", dialect: "passthrough" });
});

test.for(["GET", "HEAD"])("%s is retried before the first byte", async (method, { serve }) => {
  const { perennial } = await serve((socket, { number }) => {
    if (number === 1) socket.end();
    else if (number === 2) socket.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    else socket.write(method === "HEAD" ? "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" : jsonReply("[1,2]"));
  });
  const seen = await send(`${perennial.baseUrl}/models`, { method });
  expect(seen).toMatchObject({ status: 200, headers: { "x-perennial-attempts": "3", "content-length": "5" } });
});

test("POST is not retried, and what the upstream said is passed on", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) => socket.write(jsonReply('{"error":"busy"}', "503 Busy")));
  const seen = await send(`${perennial.baseUrl}/files`, { method: "POST", body: "{}" });
  expect(seen).toMatchObject({ status: 503, body: '{"error":"busy"}' });
  expect(seen.headers["x-should-retry"]).toBeUndefined();
  expect(upstream.requests).toHaveLength(1);
});

test.for(["end", "resetAndDestroy"] as const)(
  "POST without a body is asked once as well, whatever dies (%s)",
  async (how, { serve }) => {
    const { perennial, upstream } = await serve((socket, { head, number }) => {
      if (head.startsWith("GET")) socket.write(jsonReply("{}"));
      else if (number === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-ty", () => setTimeout(() => socket[how](), 20));
      else socket[how]();
    });
    const create = (): Promise<Seen> => send(`${perennial.baseUrl}/threads`, { method: "POST" });
    expect((await create()).status).toBe(502);
    // The next one goes out on a connection that was kept.
    await send(`${perennial.baseUrl}/models`);
    expect((await create()).status).toBe(502);
    expect(upstream.requests.map(({ head }) => head.split(" ", 2).join(" "))).toEqual([
      "POST /v1/threads",
      "GET /v1/models",
      "POST /v1/threads",
    ]);
    expect(upstream.connections).toBe(2);
  },
);

test.for([
  ["404 Not Found", "content-length: 123\r\n", "123"],
  ["404 Not Found", "transfer-encoding: chunked\r\n", undefined],
  ["200 OK", "content-length: 123\r\n", "123"],
])("HEAD keeps the length that the upstream gives its body (%s, %s)", async ([status, header, length], { serve }) => {
  const { perennial } = await serve((socket) => socket.write(`HTTP/1.1 ${status}\r\n${header}\r\n`));
  const seen = await send(`${perennial.baseUrl}/models`, { method: "HEAD" });
  expect([seen.status, seen.headers["content-length"]]).toEqual([Number.parseInt(status, 10), length]);
});

test("HEAD of an error of our own has the length of its body", async ({ serve }) => {
  const { perennial } = await serve((socket) => socket.end(), { retry: { maxAttempts: 1 } });
  const { headers, status } = await send(`${perennial.baseUrl}/models`, { method: "HEAD" });
  const { body } = await send(`${perennial.baseUrl}/models`);
  expect([status, headers["content-length"]]).toEqual([502, String(body.length)]);
});

test("large bodies stream through in both directions", async ({ closing, startPerennial }) => {
  const body = randomBytes(8 * 1024 * 1024);
  const server = await startHttpServer((request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    request.pipe(response);
  });
  const perennial = await startPerennial(closing(server).baseUrl);
  const response = await fetch(`${perennial.baseUrl}/files`, {
    method: "POST",
    body,
    headers: { "content-type": "application/octet-stream" },
  });
  const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  expect(hash(new Uint8Array(await response.arrayBuffer()))).toBe(hash(body));
});

test("a body that breaks off is broken for the client too", async ({ serve }) => {
  const { perennial } = await serve((socket) =>
    socket.end("HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
  );
  expect(await send(`${perennial.baseUrl}/audio`)).toMatchObject({ body: "hello", end: "cut" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "stream_truncated" });
});

test("an upload over limits.maxBodyBytes is refused, announced or not", async ({ serve }) => {
  const { perennial } = await serve((socket) => socket.write(jsonReply("{}")), { limits: { maxBodyBytes: "1KiB" } });
  const body = Buffer.alloc(5_000, "x");
  const chunked = { "transfer-encoding": "chunked" };
  for (const path of ["/embeddings", "/chat/completions"]) {
    for (const headers of [{}, chunked]) {
      const seen = await send(`${perennial.baseUrl}${path}`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      });
      expect([path, seen.status]).toEqual([path, 413]);
      expect(JSON.parse(seen.body).error).toMatchObject({ code: "body_too_large", type: "invalid_request_error" });
    }
  }
});

test.for(["304 Not Modified", "307 Elsewhere"])(
  "%s is an answer like any other, and is not followed",
  async (status, { serve }) => {
    const { perennial, upstream } = await serve((socket) =>
      socket.write(`HTTP/1.1 ${status}\r\nlocation: /docs\r\netag: "1"\r\ncontent-length: 0\r\n\r\n`),
    );
    expect(await send(`${perennial.baseUrl}/models`)).toMatchObject({
      status: Number.parseInt(status, 10),
      headers: { location: "/docs" },
    });
    expect(upstream.requests).toHaveLength(1);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  },
);

test("an upload that is refused before it was read gets its answer, and the connection its next one", async ({
  closing,
  startPerennial,
}) => {
  // The upstream refuses at the head, and reads no more.
  const early = await startHttpServer((_request, response) => void response.writeHead(401, { "content-length": "0" }).end());
  const before = await startPerennial(closing(early).baseUrl);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (method: string, body: Buffer | undefined): Promise<number> =>
    new Promise((resolve, reject) => {
      const outgoing = request(`${before.baseUrl}/files`, { method, agent, timeout: 20_000 }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode ?? 0));
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  expect(await ask("POST", Buffer.alloc(8_000_000))).toBe(401);
  expect(await ask("GET", undefined)).toBe(401);
  agent.destroy();
});

test.for([
  ["/v1/chat/completions", "announced"],
  ["/v1/chat/completions", "in chunks"],
  ["/v1/embeddings", "announced"],
])(
  "a client that writes all of a large upload before it reads is told why it is refused (%s, %s)",
  async ([path, how], { serve }) => {
    const { perennial } = await serve((socket) => socket.write(jsonReply("{}")), { limits: { maxBodyBytes: "1KiB" } });
    const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1").pause();
    const size = 40_000_000;
    const length = how === "announced" ? `content-length: ${size}` : "transfer-encoding: chunked";
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${length}\r\n\r\n`);
    if (how === "in chunks") socket.write(`${size.toString(16)}\r\n`);
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.write(Buffer.alloc(size, "x"), () => resolve());
    });
    if (how === "in chunks") socket.write("\r\n0\r\n\r\n");
    socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk;
    });
    socket.resume();
    // The connection is still in step: what follows the body is read as the next request.
    await expect.poll(() => seen).toMatch(/^HTTP\/1\.1 413 .*body_too_large.*HTTP\/1\.1 200 OK/s);
    socket.destroy();
  },
);

test.for(["destroy", "resetAndDestroy"] as const)(
  "a client may leave while its upload still waits for a connection (%s)",
  async (how, { serve }) => {
    const answers: (() => void)[] = [];
    const { perennial, upstream } = await serve((socket) => answers.push(() => socket.write(jsonReply(chatAnswer("Hello")))), {
      upstream: { maxConnections: 1 },
    });
    const first = chat(perennial.baseUrl, { stream: false });
    await expect.poll(() => answers.length).toBe(1);
    const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
    socket.write(`POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n${"y".repeat(100_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket[how]();
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled", dialect: "passthrough" });
    answers[0]?.();
    expect((await first).status).toBe(200);
    const second = chat(perennial.baseUrl, { stream: false });
    await expect.poll(() => answers.length).toBe(2);
    answers[1]?.();
    expect((await second).status).toBe(200);
    expect(upstream.requests).toHaveLength(2);
  },
);

describe.concurrent("an upstream that answers with a head at once, and with the rest after the upload", () => {
  const upload = async (
    { closing, startPerennial }: Pick<Tools, "closing" | "startPerennial">,
    ending: "whole" | "stops",
    status = 200,
  ): Promise<Seen> => {
    const server = await startHttpServer((request, response) => {
      response.writeHead(status).flushHeaders();
      // The first bytes may come early, too.
      response.write("got ");
      request.resume().on("end", () => request.url === "/v1/files" && response.end("it"));
    });
    const perennial = await startPerennial(closing(server).baseUrl, {
      timeouts: { idle: "400ms", request: "2s" },
    });
    return new Promise((resolve, reject) => {
      const outgoing = request(`${perennial.baseUrl}/files`, { method: "POST", agent: false }, (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
        });
        const seen = (end: Seen["end"]) => () => resolve({ status: response.statusCode ?? 0, headers: {}, body, end });
        response.on("end", seen("clean")).on("error", seen("cut"));
      });
      outgoing.on("error", reject);
      let pieces = 0;
      const timer = setInterval(() => {
        if (++pieces <= 10) outgoing.write("x".repeat(1_000));
        else if (ending === "whole") outgoing.end();
        if (pieces > 10) clearInterval(timer);
      }, 100);
    });
  };

  test.for([200, 404])("is not stalled while bytes go up (%s)", async (status, { closing, startPerennial }) => {
    expect(await upload({ closing, startPerennial }, "whole", status)).toMatchObject({ status, body: "got it", end: "clean" });
  });

  test("waits no longer than timeouts.request for an upload that stops", async ({ closing, startPerennial }) => {
    // Neither side would ever end this by itself.
    expect(await upload({ closing, startPerennial }, "stops")).toMatchObject({ body: "got ", end: "cut" });
  });
});

test("an upload that is refused for its headers may turn out too large afterwards", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) => socket.write(jsonReply("{}")), { limits: { maxBodyBytes: "1KiB" } });
  const seen = await send(`${perennial.baseUrl}/files`, {
    method: "POST",
    headers: { "transfer-encoding": "chunked", "x-perennial-max-attempts": "0" },
    body: Buffer.alloc(5_000),
  });
  expect(seen.status).toBe(400);
  expect(seen.body).toContain("x-perennial-max-attempts");
  expect(upstream.requests).toHaveLength(0);
});

test("a GET with a body is not repeated: its body is gone", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) => socket.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"));
  expect(
    (await send(`${perennial.baseUrl}/search`, { method: "GET", body: "0123456789", headers: { "content-length": "10" } }))
      .status,
  ).toBe(503);
  expect(upstream.requests).toHaveLength(1);
});

test("a body that breaks off is broken for a client of HTTP/1.0 as well", async ({ serve }) => {
  const { perennial } = await serve((socket) =>
    socket.end("HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
  );
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  socket.write("GET /v1/audio HTTP/1.0\r\nhost: x\r\n\r\n");
  const how = await new Promise((resolve) => {
    socket.on("data", () => {});
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on("end", () => resolve("a clean end"));
  });
  expect(how).toBe("ECONNRESET");
});

describe("what is passed through", () => {
  const get = (perennial: TestPerennial, path: string): Promise<Seen> => send(perennial.baseUrl + path);

  test("begins with its head, before there is a body", async ({ serve }) => {
    const { perennial, upstream } = await serve(["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]);
    const response = await fetch(`${perennial.baseUrl}/models`);
    for (const socket of upstream.sockets) socket.write("{}");
    expect(await response.text()).toBe("{}");
  });

  test("is stalled when it falls silent after its first byte, and is not while bytes come", async ({ serve }) => {
    const { perennial } = await serve(
      [
        (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"),
        async (socket) => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
          // Its first byte may take its time: a picture is made meanwhile.
          await pause(900);
          for (const character of "123456789") {
            socket.write(character);
            await pause(100);
          }
        },
      ],
      { timeouts: { idle: "600ms", total: "4s" } },
    );
    expect(await get(perennial, "/a").catch(() => "broken")).toMatchObject({ end: "cut" });
    expect(await perennial.exchangeLog()).toMatchObject({ failure: "stream_stalled" });
    expect(await get(perennial, "/b")).toMatchObject({ body: "123456789", end: "clean" });
  });

  test("is not sent a second time when it was a POST on a kept connection that died", async ({ serve }) => {
    const { perennial, upstream } = await serve([jsonReply("{}"), (socket) => socket.end(), jsonReply("{}")]);
    await get(perennial, "/models");
    const seen = await send(`${perennial.baseUrl}/threads`, { method: "POST", body: "{}" });
    expect([seen.status, upstream.requests.length, upstream.connections]).toEqual([502, 2, 1]);
  });

  test("keeps the length of what was sent", async ({ serve }) => {
    const { perennial, upstream } = await serve([jsonReply("{}")]);
    // More than fits into one read: what has arrived as a whole has its length anyway.
    await send(`${perennial.baseUrl}/files`, { method: "POST", body: Buffer.alloc(500_000, "x") });
    expect(upstream.requests[0]?.head).toContain("content-length: 500000");
    expect(upstream.requests[0]?.head).not.toContain("chunked");
  });
});
