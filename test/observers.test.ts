/** An observer listens: whatever happens to it, the client gets what it would have got without it. */
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import type { Observer } from "../src/core/observer.ts";
import { openRuntime, type Runtime } from "../src/runtime/runtime.ts";
import { createServer, type ServerSettings } from "../src/server/create-server.ts";
import { combineObservers } from "../src/telemetry/combine-observers.ts";
import { chat, readStream, send } from "./support/client.ts";
import { chatEvents, frame, jsonReply, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let runtime: Runtime;
let closeServer: () => Promise<unknown>;
let baseUrl: string;
const lines: { msg: string; outcome?: string }[] = [];

beforeEach(async () => {
  lines.length = 0;
  upstream = await startRawUpstream((socket, { number }) =>
    socket.write(number === 1 ? jsonReply("{}", "503 Busy") : frame("chunked", chatEvents(["Hello"]))),
  );
});

afterEach(async () => {
  await closeServer();
  await runtime.drain();
  await runtime.close();
  await upstream.close();
});

/** @param onLine may throw, as a log on a full disk does. */
async function serve(change: (settings: ServerSettings) => ServerSettings, onLine = (_line: string): void => {}): Promise<void> {
  const logger = pino(
    { level: "debug" },
    {
      write(line: string) {
        onLine(line);
        lines.push(JSON.parse(line));
      },
    },
  );
  const retry = { backoff: { initial: "1ms" } };
  runtime = await openRuntime(configSchema.parse({ upstreams: [{ baseUrl: upstream.baseUrl }], retry }), logger);
  const server = createServer({ open: runtime.open, tls: undefined, current: () => change(runtime.current().settings) });
  closeServer = () => server.close();
  baseUrl = `${await server.listen({ host: "127.0.0.1", port: 0 })}/v1`;
}

const outcomes = () => lines.flatMap(({ outcome }) => outcome ?? []);

test("a log that cannot be written takes no answer away", async () => {
  await serve(
    (settings) => settings,
    (line) => {
      if (/attempt 1 failed|"outcome"/.test(line)) throw new Error("ENOSPC: no space left on device, write");
    },
  );
  expect(readStream((await chat(baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  expect(readStream((await chat(baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
});

const fail = (): never => {
  throw new Error("an observer's own defect");
};
const EVENTS: (keyof Observer)[] = ["onExchangeStart", "onAttemptStart", "onAttemptEnd", "onRetry", "onCommit", "onExchangeEnd"];
const FAILING: [string, (typeof EVENTS)[number], () => unknown][] = EVENTS.flatMap((event) => [
  ["throws", event, fail],
  ["rejects", event, async () => fail()],
]);

test.each(FAILING)("one that %s in %s changes no outcome, and keeps nothing from the others", async (_how, event, act) => {
  const failing = { [event]: act } as Observer;
  await serve(({ context, ...settings }) => {
    return { ...settings, context: { ...context, observer: combineObservers([failing, context.observer], () => {}) } };
  });
  expect(readStream((await chat(baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  await expect.poll(outcomes).toEqual(["recovered"]);
});

test("one that throws while a request is refused takes no refusal away, nor its log line", async () => {
  const failing: Observer = { onExchangeEnd: fail, onRejected: fail };
  await serve(({ context, ...settings }) => {
    return { ...settings, context: { ...context, observer: combineObservers([failing, context.observer], () => {}) } };
  });
  expect((await send(`${baseUrl}/../nothing`)).status).toBe(404);
  await expect.poll(outcomes).toEqual(["rejected"]);
});
