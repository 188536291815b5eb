/** How the doctor asks: in the words that a model takes, through a proxy, and whether an answer that broke can be gone on with. */
import { readFileSync } from "node:fs";
import { request as ask, createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { expect, vi } from "vitest";
import { chat, readStream } from "../support/client.ts";
import { examine, ills, isStreamed, models, routes, saidOf } from "../support/doctor.ts";
import { choice, DONE, WHOLE } from "../support/events.ts";
import { chatAnswer, jsonReply, type RawRequest } from "../support/raw-upstream.ts";
import { atOnce } from "../support/replies.ts";
import { test } from "../support/test.ts";

const CHAT = "POST /v1/chat/completions";
const whole = (request: RawRequest) => (isStreamed(request) ? atOnce(WHOLE) : jsonReply(chatAnswer("2")));

test("a model that takes max_completion_tokens alone is asked in its words, and warmed up in them", async ({
  startUpstream,
  startPerennial,
}) => {
  const message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
  const refused = jsonReply(
    JSON.stringify({ error: { message, code: "unsupported_parameter", param: "max_tokens" } }),
    "400 Bad Request",
  );
  const server = await startUpstream(
    routes({ "GET /v1/models": models, [CHAT]: (request) => ("max_tokens" in request.json ? refused : whole(request)) }),
  );
  const verdict = await examine(server.baseUrl);
  expect(ills(verdict)).toEqual({});
  expect(saidOf(verdict, "ending")).toContain("finish stop");
  const asked = server.requests.filter(({ head }) => head.startsWith(CHAT)).map(({ json }) => json);
  expect(asked.map((json) => "max_tokens" in json)).toEqual([true, false, true, false]);
  expect(asked[1]).toMatchObject({ max_completion_tokens: expect.any(Number), stream: true });
  const perennial = await startPerennial(server.baseUrl, { warmup: { on: "start", request: { model: "m" } } });
  await vi.waitFor(async () => expect((await fetch(`${perennial.url}/readyz`)).status).toBe(200), 20_000);
});

test.for(["http", "https"] as const)("an %s server behind a proxy is examined through it", async (protocol, { closing }) => {
  const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname;
  const reply = (stream: boolean): string => (stream ? WHOLE.join("") : chatAnswer("2"));
  const listener: Parameters<typeof createServer>[1] = async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const isStream = body.includes('"stream":true');
    response.setHeader("content-type", isStream ? "text/event-stream" : "application/json");
    response.end(request.method === "GET" ? JSON.stringify({ data: [{ id: "m" }] }) : reply(isStream));
  };
  const tls = { cert: readFileSync(fixture("server.pem")), key: readFileSync(fixture("server-key.pem")) };
  const server = protocol === "https" ? createHttpsServer(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    // Its name is known to the proxy alone.
    const to = {
      host: "127.0.0.1",
      port,
      path: new URL(String(request.url)).pathname,
      method: request.method,
      headers: request.headers,
    };
    const through = ask({ ...to, agent: false }, (reply) => {
      response.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(response);
    });
    request.pipe(through);
  }).on("connect", (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    const through = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      through.pipe(socket).pipe(through);
    });
    for (const each of [socket, through]) each.on("error", () => through.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  closing({
    close() {
      for (const each of [proxy, server]) {
        each.close();
        each.closeAllConnections();
      }
    },
  });
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const verdict = await examine(`${protocol}://upstream.test:${port}/v1`, {
    env: { [`${protocol}_proxy`]: address },
    ...(protocol === "https" ? { upstream: { ca: fixture("ca.pem") } } : {}),
  });
  expect(ills(verdict)).toEqual({ proxy: "note" });
  expect(saidOf(verdict, "proxy")).toContain(address.slice(7));
  expect(saidOf(verdict, "streamed")).toContain("came whole");
  const ways = { http: `POST http://upstream.test:${port}/v1/chat/completions`, https: `CONNECT upstream.test:${port}` };
  expect(asked).toContain(ways[protocol]);
});

const NEXT: Readonly<Record<string, string>> = { one: " eight, nine", "1": "9\n10", A: " I J", echo: " echo", "[1": " 6, 7" };

test.for([
  [
    "goes on",
    (beginning: string) => NEXT[/^(one|1|A|echo|\[1)/.exec(beginning)?.[0] ?? ""] ?? "?",
    "recovery: continue would mend",
  ],
  ["begins anew", () => "Sure! Here is", "recovery stays at error"],
] as const)(
  "of a server that %s, it says what recovery: continue would do",
  async ([_how, next, says], { startUpstream, startPerennial }) => {
    const isBegun = ({ json }: RawRequest): boolean => json.continue_final_message === true;
    const listed = (): string | Buffer => jsonReply(JSON.stringify({ data: [{ id: "m", owned_by: "vllm" }] }));
    const server = await startUpstream(
      routes({
        "GET /v1/models": listed,
        [CHAT]: (request) => {
          if (!isBegun(request)) return whole(request);
          const beginning = String((request.json.messages as { content: string }[]).at(-1)?.content);
          return atOnce([choice({ content: next(beginning) }), choice({}, "length"), DONE]);
        },
      }),
    );
    const verdict = await examine(server.baseUrl);
    expect(ills(verdict)).toEqual({ profile: "note" });
    expect(saidOf(verdict, "continuation")).toContain(says);
    expect(verdict.spent).toMatchObject({ questions: 2, continuations: 5 });
    const { baseUrl, ...upstream } = verdict.proposal;
    expect(upstream).toEqual({ profile: "vllm" });
    expect(readStream((await chat((await startPerennial(String(baseUrl), { upstream })).baseUrl)).body).done).toBe(true);
    const wanting = await examine(server.baseUrl, { upstream: { profile: "vllm", recovery: "continue" } });
    expect(ills(wanting)).toEqual(says.startsWith("recovery: continue") ? {} : { continuation: "note" });
  },
);
