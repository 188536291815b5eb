/** The runtime without its listener: what a server of another's making, or a check of the upstreams, can use. */
import pino from "pino";
import { afterEach, expect, test } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { openRuntime, type Runtime } from "../src/runtime/runtime.ts";
import { createServer } from "../src/server/create-server.ts";
import { chat, readStream } from "./support/client.ts";
import { chatEvents, frame, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

const closing: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

async function upstreamSaying(word: string): Promise<RawUpstream> {
  const upstream = await startRawUpstream((socket) => socket.write(frame("chunked", chatEvents([word]))));
  closing.push(upstream);
  return upstream;
}

async function open(upstream: RawUpstream): Promise<Runtime> {
  const config = configSchema.parse({ upstreams: [{ baseUrl: upstream.baseUrl }] });
  const runtime = await openRuntime(config, pino({ level: "silent" }));
  closing.push(runtime);
  return runtime;
}

test("serves behind a server of another's making, reloads, and refuses while it drains", async () => {
  const [first, second] = [await upstreamSaying("first"), await upstreamSaying("second")];
  const runtime = await open(first);
  const server = createServer({ open: runtime.open, tls: undefined, current: () => runtime.current().settings });
  closing.push(server);
  const baseUrl = `${await server.listen({ host: "127.0.0.1", port: 0 })}/v1`;
  expect(readStream((await chat(baseUrl)).body).text).toBe("first");

  const next = configSchema.parse({ upstreams: [{ baseUrl: second.baseUrl }] });
  expect((await runtime.reload(next)).changed).toEqual(["upstreams"]);
  expect(readStream((await chat(baseUrl)).body).text).toBe("second");
  await expect.poll(() => first.sockets.size).toBe(0);

  await runtime.drain();
  expect((await chat(baseUrl)).status).toBe(503);
  await expect(runtime.reload(next)).rejects.toThrow("shutting down");
});

test("closes its connections, those of earlier configurations too", async () => {
  const [first, second] = [await upstreamSaying("first"), await upstreamSaying("second")];
  const runtime = await open(first);
  await runtime.reload(configSchema.parse({ upstreams: [{ baseUrl: second.baseUrl }] }));
  await runtime.drain();
  await runtime.close();
  expect(first.sockets.size + second.sockets.size).toBe(0);
});
