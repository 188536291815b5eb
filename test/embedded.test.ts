/** Perennial inside another program: the same contract as on a port of its own, as a fetch and as a plugin. */
import { spawn } from "node:child_process";
import Fastify, { type FastifyInstance } from "fastify";
import { describe, expect } from "vitest";
import { createFetch, type PerennialFetch, type PerennialOptions, perennial } from "../src/embed/perennial.ts";
import { chat, readStream, send } from "./support/client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, type RawRequest, SSE_HEAD } from "./support/raw-upstream.ts";
import { type Tools, test } from "./support/test.ts";

const OPTIONS: PerennialOptions = { retry: { backoff: { initial: "1ms" } }, drain: { timeout: "300ms" } };
const [ROLE = "", HELLO = ""] = chatEvents(["Hello"], { finish: null, done: false });
const OPEN_HEAD = `${SSE_HEAD}transfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const QUESTION = { method: "POST", headers: { "content-type": "application/json" } };
const body = (fields: object = {}): string => JSON.stringify({ model: "m", stream: true, messages: [], ...fields });

function openFetch({ closing }: Pick<Tools, "closing">, options: PerennialOptions): PerennialFetch {
  const opened = createFetch({ ...OPTIONS, ...options });
  closing({ close: () => opened.close() });
  return opened;
}

describe("createFetch", () => {
  test("passes a stream on as it comes, and not at its end", async ({ startUpstream, closing }) => {
    let finish = (): void => {};
    const upstream = await startUpstream((socket) => {
      socket.write(OPEN_HEAD + chunk(ROLE) + chunk(HELLO));
      finish = () => void socket.write(chunk(chatEvents([]).join("")) + chunk("") /* the last chunk */);
    });
    const fetch = openFetch({ closing }, { upstream: upstream.baseUrl });
    const response = await fetch(`${upstream.baseUrl}/chat/completions`, { ...QUESTION, body: body() });
    expect(response).toBeInstanceOf(Response);
    expect(response.url).toBe(`${upstream.baseUrl}/chat/completions`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes("Hello")) text += new TextDecoder().decode((await reader.read()).value);
    finish();
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += new TextDecoder().decode(part.value);
    expect(readStream(text)).toMatchObject({ text: "Hello", done: true });
  });

  test.for([
    ["clean", "resolves"],
    ["cut", "rejects"],
  ] as const)("a stream that breaks ends as interruptEnd says: %s", async ([interruptEnd, how], { startUpstream, closing }) => {
    const upstream = await startUpstream((socket) => socket.end(OPEN_HEAD + chunk(ROLE) + chunk(HELLO)));
    const fetch = openFetch({ closing }, { upstream: upstream.baseUrl, interruptEnd });
    const response = await fetch(`${upstream.baseUrl}/chat/completions`, { ...QUESTION, body: body() });
    if (how === "rejects") await expect(response.text()).rejects.toThrow();
    else expect(readStream(await response.text())).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  });

  test("a client that gives up ends the upstream's work", async ({ startUpstream, closing }) => {
    let left: Promise<void> = Promise.resolve();
    const upstream = await startUpstream((socket) => {
      left = new Promise((resolve) => socket.once("close", () => resolve()));
      socket.write(OPEN_HEAD + chunk(ROLE) + chunk(HELLO));
    });
    const fetch = openFetch({ closing }, { upstream: upstream.baseUrl });
    const leaving = new AbortController();
    const response = await fetch(`${upstream.baseUrl}/chat/completions`, { ...QUESTION, body: body(), signal: leaving.signal });
    expect(response.status).toBe(200);
    leaving.abort();
    await expect(response.text()).rejects.toThrow();
    await left;
  });

  test("a form with a file arrives whole", async ({ startUpstream, closing }) => {
    const seen: RawRequest[] = [];
    const upstream = await startUpstream((socket, request) => {
      seen.push(request);
      socket.write(jsonReply('{"id":"file-1"}'));
    });
    const form = new FormData();
    form.set("file", new Blob(["细水长流"]), "a.jsonl");
    const fetch = openFetch({ closing }, { upstream: upstream.baseUrl });
    const response = await fetch(new Request(`${upstream.baseUrl}/files?purpose=batch`, { method: "POST", body: form }));
    expect(await response.json()).toEqual({ id: "file-1" });
    expect(seen[0]?.head).toMatch(/^POST \/v1\/files\?purpose=batch [\s\S]*content-type: multipart\/form-data/i);
    expect(seen[0]?.body).toContain("细水长流");
  });

  test("what is not for an upstream goes where it would go without it", async ({ startUpstream, closing }) => {
    const upstream = await startUpstream((socket) => socket.end(jsonReply(chatAnswer("a"))));
    const other = await startUpstream((socket) => socket.end(jsonReply('{"other":true}')));
    const fetch = openFetch({ closing }, { upstream: upstream.baseUrl });
    const response = await fetch(`${other.baseUrl}/chat/completions`, { ...QUESTION, body: "{}" });
    expect(await response.json()).toEqual({ other: true });
    expect(response.headers.get("x-perennial-id")).toBeNull();
    const ours = await fetch("http://perennial/v1/chat/completions", { ...QUESTION, body: body({ stream: false }) });
    expect(ours.headers.get("x-perennial-attempts")).toBe("1");
  });

  test("wrong options are explained at once, and by name", () => {
    expect(() => createFetch({ upstream: "api.openai.com" })).toThrow(/upstreams\.0\.baseUrl/);
    expect(() => createFetch({ retry: { maxAttempts: 0 } })).toThrow(/retry\.maxAttempts/);
  });

  test("a program that has used it ends by itself", async ({ startUpstream }) => {
    const upstream = await startUpstream((socket) => socket.write(jsonReply(chatAnswer("Hello"))));
    const code = `
      import { createFetch } from ${JSON.stringify(new URL("../src/embed/perennial.ts", import.meta.url).href)};
      const fetch = createFetch({ upstream: process.argv[1] });
      const body = JSON.stringify({ model: "m", messages: [] });
      const response = await fetch(process.argv[1] + "/chat/completions", { method: "POST", body });
      console.log((await response.json()).choices[0].message.content);`;
    const { stdout, status } = await new Promise<{ stdout: string; status: number | null }>((resolve) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", code, upstream.baseUrl]);
      let stdout = "";
      child.stdout.on("data", (part) => {
        stdout += part;
      });
      child.once("exit", (status) => resolve({ stdout, status }));
    });
    expect({ stdout, status }).toEqual({ stdout: "Hello\n", status: 0 });
  });
});

describe("the plugin", () => {
  async function openApp(
    { closing }: Pick<Tools, "closing">,
    options: PerennialOptions & { prefix?: string },
  ): Promise<{ app: FastifyInstance; url: string }> {
    const app = Fastify();
    app.addHook("onRequest", async (_request, reply) => void reply.header("x-app", "mine"));
    app.post("/own", (request) => request.body);
    app.register(perennial, { ...OPTIONS, ...options });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    closing({ close: () => app.close() });
    return { app, url };
  }

  test.for(["/llm", "/llm/v1", "/v1", ""])(
    "answers under its prefix, and the app keeps its own routes: %s",
    async (prefix, { startUpstream, closing }) => {
      const upstream = await startUpstream((socket, { number }) =>
        number === 1 ? socket.end(frame("chunked", ["data: [DONE]\n\n"])) : socket.end(frame("chunked", chatEvents(["Hello"]))),
      );
      const { url } = await openApp({ closing }, { upstream: upstream.baseUrl, ...(prefix === "" ? {} : { prefix }) });
      const seen = await chat(`${url}${prefix.replace(/\/v1$/, "")}/v1`);
      expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
      expect(seen.headers).toMatchObject({ "x-perennial-attempts": "2", "x-app": "mine" });
      expect(upstream.requests[0]?.head).toMatch(/^POST \/v1\/chat\/completions /);
      const own = await send(`${url}/own`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"a":1}' });
      expect(own.body).toBe('{"a":1}');
    },
  );

  test("a body that is larger than the app takes is measured by Perennial's limit", async ({ startUpstream, closing }) => {
    const upstream = await startUpstream((socket) => socket.end(jsonReply(chatAnswer("Hello"))));
    const { url } = await openApp({ closing }, { prefix: "/llm", upstream: upstream.baseUrl, limits: { maxBodyBytes: "3MiB" } });
    const ask = (mib: number) => chat(`${url}/llm/v1`, { stream: false, user: "x".repeat(mib * 1024 ** 2) });
    expect((await ask(2)).status).toBe(200);
    expect((await ask(4)).status).toBe(413);
  });

  test("an app that closes lets streams finish for drain.timeout, and tells the rest why", async ({ startUpstream, closing }) => {
    const upstream = await startUpstream((socket) => socket.write(OPEN_HEAD + chunk(ROLE) + chunk(HELLO)));
    const { app, url } = await openApp({ closing }, { prefix: "/llm", upstream: upstream.baseUrl });
    let closed: Promise<void> | undefined;
    const onRead = (): void => {
      closed ??= app.close();
    };
    const seen = await chat(`${url}/llm/v1`, {}, { onRead });
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "draining" });
    await closed;
  });

  test("a client that leaves ends the upstream's work", async ({ startUpstream, closing }) => {
    let left: Promise<void> = Promise.resolve();
    const upstream = await startUpstream((socket) => {
      left = new Promise((resolve) => socket.once("close", () => resolve()));
      socket.write(OPEN_HEAD + chunk(ROLE) + chunk(HELLO));
    });
    const { url } = await openApp({ closing }, { prefix: "/llm", upstream: upstream.baseUrl });
    await chat(`${url}/llm/v1`, {}, { onRead: (_text, abort) => abort() }).catch(() => {});
    await left;
  });

  test("keys, and pages from elsewhere, are looked at as ever", async ({ startUpstream, closing }) => {
    const upstream = await startUpstream((socket) => socket.end(jsonReply("{}")));
    const { url } = await openApp({ closing }, { prefix: "/llm", upstream: upstream.baseUrl, auth: { keys: ["k1"] } });
    expect((await send(`${url}/llm/v1/models`)).status).toBe(401);
    expect((await send(`${url}/llm/v1/models`, { headers: { authorization: "Bearer k1" } })).status).toBe(200);
    const bare = await openApp({ closing }, { prefix: "/llm", upstream: upstream.baseUrl });
    expect((await send(`${bare.url}/llm/v1/models`, { headers: { origin: "https://elsewhere.example" } })).status).toBe(403);
  });
});
