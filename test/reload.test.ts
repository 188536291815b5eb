/** A new configuration while Perennial runs: what changes at once, what stays, what is refused. */

import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, readStream, send } from "./support/client.ts";
import { chatEvents, frame, type RawUpstream } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import type { SpawnedPerennial } from "./support/spawn-perennial.ts";
import { type Answer, type Tools, test } from "./support/test.ts";

/** An upstream that says its one word. */
const saying =
  (word: string): Answer =>
  (socket) =>
    socket.write(frame("chunked", chatEvents([word])));

/** An upstream that says one word, and a second when told to. */
async function upstreamWaiting(startUpstream: Tools["startUpstream"]): Promise<{ upstream: RawUpstream; go: () => void }> {
  let go = (): void => {};
  const upstream = await startUpstream((socket) => {
    const [role, first, ...rest] = chatEvents(["one ", "two"]);
    socket.write(`${STREAM_HEAD}${role}${first}`);
    go = () => socket.end(rest.join(""));
  });
  return { upstream, go: () => go() };
}

/** As startPerennial makes it. */
const configOf = (baseUrl: string | undefined, settings: Record<string, unknown> = {}) =>
  configSchema.parse({ port: 0, ...(baseUrl === undefined ? {} : { upstreams: [{ baseUrl }] }), ...settings });

const textOf = async (baseUrl: string, headers = {}): Promise<string> =>
  readStream((await chat(baseUrl, {}, { headers })).body).text;

test("new requests go to the new upstream, while a running stream ends with the old one", async ({
  startUpstream,
  startPerennial,
}) => {
  const { upstream: old, go } = await upstreamWaiting(startUpstream);
  const next = await startUpstream(saying("new"));
  const perennial = await startPerennial(old.baseUrl);
  let began = (): void => {};
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const seen = chat(perennial.baseUrl, {}, { onRead: () => began() });
  await begun;
  await perennial.reload(configOf(next.baseUrl));
  expect(await textOf(perennial.baseUrl)).toBe("new");
  expect(old.sockets.size).toBe(1);
  go();
  expect(readStream((await seen).body)).toMatchObject({ text: "one two", done: true });
});

test("a request whose body is still on its way goes to the new upstream", async ({ startUpstream, startPerennial }) => {
  const old = await startUpstream(saying("old"));
  const next = await startUpstream(saying("new"));
  const perennial = await startPerennial(old.baseUrl);
  await textOf(perennial.baseUrl);
  const slow = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  let seen = "";
  slow.on("data", (chunk) => {
    seen += chunk;
  });
  slow.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"stream"');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await perennial.reload(configOf(next.baseUrl));
  await expect.poll(() => old.sockets.size).toBe(0);
  slow.write(":true}");
  await expect.poll(() => seen).toContain("[DONE]");
  expect(seen).toContain('"content":"new"');
  slow.destroy();
});

test("the old upstream's connections are closed once nobody uses them, and not while somebody does", async ({
  startUpstream,
  startPerennial,
}) => {
  const old = await startUpstream(saying("old"));
  const { upstream: slow, go } = await upstreamWaiting(startUpstream);
  const last = await startUpstream(saying("last"));
  const perennial = await startPerennial(old.baseUrl);
  await textOf(perennial.baseUrl);
  expect(old.sockets.size).toBe(1);
  await perennial.reload(configOf(slow.baseUrl));
  await expect.poll(() => old.sockets.size).toBe(0);
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => slow.requests.length).toBe(1);
  await perennial.reload(configOf(last.baseUrl));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(slow.sockets.size).toBe(1);
  go();
  expect(readStream((await seen).body)).toMatchObject({ done: true });
});

test("an upstream that stays the same keeps its connections", async ({ startUpstream, startPerennial }) => {
  const upstream = await startUpstream(saying("same"));
  const perennial = await startPerennial(upstream.baseUrl);
  await textOf(perennial.baseUrl);
  expect(await perennial.reload(configOf(upstream.baseUrl, { timeouts: { idle: "7s" } }))).toMatchObject({
    changed: expect.arrayContaining(["timeouts"]),
    needsRestart: [],
  });
  await textOf(perennial.baseUrl);
  expect(upstream.connections).toBe(1);
});

test("keys and limits apply at once, and in both directions", async ({ startUpstream, startPerennial }) => {
  const { baseUrl } = await startUpstream(saying("hi"));
  const perennial = await startPerennial(baseUrl, { limits: { maxBodyBytes: "1KiB" } });
  const big = { messages: [{ role: "user", content: "x".repeat(3 * 1024 * 1024) }] };
  expect(await chat(perennial.baseUrl, big)).toMatchObject({ status: 413 });
  await perennial.reload(configOf(baseUrl, { auth: { keys: ["key-one-1"] } }));
  expect(await chat(perennial.baseUrl)).toMatchObject({ status: 401 });
  const headers = { authorization: "Bearer key-one-1" };
  expect(await chat(perennial.baseUrl, big, { headers })).toMatchObject({ status: 200 });
  await perennial.reload(configOf(baseUrl, { limits: { maxBodyBytes: "1KiB" } }));
  expect(await chat(perennial.baseUrl, big)).toMatchObject({ status: 413 });
  expect(await textOf(perennial.baseUrl)).toBe("hi");
});

test("limits.maxStreams can be raised while streams are open", async ({ startUpstream, startPerennial }) => {
  const { upstream, go } = await upstreamWaiting(startUpstream);
  const perennial = await startPerennial(upstream.baseUrl, { limits: { maxStreams: 1 } });
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(1);
  expect(await chat(perennial.baseUrl)).toMatchObject({ status: 503 });
  await perennial.reload(configOf(upstream.baseUrl, { limits: { maxStreams: 2 } }));
  go();
  await seen;
  const second = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(2);
  const third = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(3);
  for (const socket of upstream.sockets) socket.end();
  await Promise.all([second, third]);
});

test("metrics can be turned on, and off, and go on counting where they were", async ({ startUpstream, startPerennial }) => {
  const { baseUrl } = await startUpstream(saying("hi"));
  const perennial = await startPerennial(baseUrl, { metrics: { enabled: false } });
  const { url } = perennial;
  const complete = async () => /outcome="complete"\} (\d+)/.exec((await send(`${url}/metrics`)).body)?.[1];
  await perennial.reload(configOf(baseUrl));
  await textOf(perennial.baseUrl);
  await expect.poll(complete).toBe("1");
  await perennial.reload(configOf(baseUrl, { metrics: { enabled: false } }));
  expect(await send(`${url}/metrics`)).toMatchObject({ status: 404 });
  await perennial.reload(configOf(baseUrl));
  expect(await complete()).toBe("1");
});

test("the sandbox makes way for an upstream, and never takes its place: its text is invented", async ({
  startUpstream,
  startPerennial,
}) => {
  const { baseUrl } = await startUpstream(saying("real"));
  const perennial = await startPerennial(undefined);
  await perennial.reload(configOf(undefined, { timeouts: { idle: "7s" } }));
  expect((await chat(perennial.baseUrl)).headers).toMatchObject({ "x-perennial-upstream": "sandbox" });
  await perennial.reload(configOf(baseUrl));
  expect(await textOf(perennial.baseUrl)).toBe("real");
  await expect(perennial.reload(configOf(undefined))).rejects.toThrow(/^upstreams: .*sandbox.*restart/);
  expect(await textOf(perennial.baseUrl)).toBe("real");
});

test("host, port and drain are named as needing a restart, as long as they differ", async ({ startUpstream, startPerennial }) => {
  const { baseUrl } = await startUpstream(saying("hi"));
  const perennial = await startPerennial(baseUrl);
  const next = { port: 9_999, host: "::1", drain: { timeout: "1s" }, log: { format: "json" } };
  for (let n = 1; n <= 2; n++) {
    const { needsRestart } = await perennial.reload(configOf(baseUrl, next));
    expect(needsRestart).toEqual(["host", "port", "drain", "log"]);
  }
  expect(await textOf(perennial.baseUrl)).toBe("hi");
  expect((await perennial.reload(configOf(baseUrl))).needsRestart).toEqual([]);
});

test("the last key of a host that others can reach cannot be taken away by naming another host", async ({
  startUpstream,
  startPerennial,
}) => {
  const { baseUrl } = await startUpstream(saying("hi"));
  const perennial = await startPerennial(baseUrl, { host: "0.0.0.0", auth: { keys: ["key-one-1"] } });
  await expect(perennial.reload(configOf(baseUrl, { host: "127.0.0.1" }))).rejects.toThrow(/auth\.keys: 0\.0\.0\.0/);
  expect(await chat(perennial.baseUrl.replace("0.0.0.0", "127.0.0.1"))).toMatchObject({ status: 401 });
});

test("reloads that come together are done one after the other, and the last one counts", async ({
  startUpstream,
  startPerennial,
}) => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((word) => startUpstream(saying(word))));
  const perennial = await startPerennial(a?.baseUrl);
  const { reload } = perennial;
  await Promise.all([b, a, c, a, b].map((upstream) => reload(configOf(upstream?.baseUrl))));
  expect(await textOf(perennial.baseUrl)).toBe("b");
});

/** Perennial as a process, with its configuration in a file of its own folder. */
async function startProcess(
  spawnPerennial: Tools["spawnPerennial"],
  config: string,
): Promise<{ file: string; running: SpawnedPerennial }> {
  const file = join(mkdtempSync(join(tmpdir(), "perennial-reload-")), "perennial.yaml");
  writeFileSync(file, config);
  return { file, running: await spawnPerennial(["--config", file, "--port", "0"]) };
}

const yaml = (baseUrl: string, more = ""): string => `upstreams: [{ baseUrl: "${baseUrl}" }]\n${more}`;
const says = (running: SpawnedPerennial, word: string) =>
  expect.poll(() => textOf(`${running.url}/v1`), { interval: 20 }).toBe(word);
const logs = (running: SpawnedPerennial, pattern: RegExp) =>
  expect.poll(() => running.output(), { interval: 20 }).toMatch(pattern);

test("a changed file is noticed, written in place or put in its place; a wrong one is refused with its reason", async ({
  startUpstream,
  spawnPerennial,
}) => {
  const [one, two, three] = await Promise.all(["one", "two", "three"].map((word) => startUpstream(saying(word))));
  const { file, running } = await startProcess(spawnPerennial, yaml(one?.baseUrl ?? ""));
  await says(running, "one");
  writeFileSync(file, yaml(two?.baseUrl ?? ""));
  await says(running, "two");
  writeFileSync(file, yaml(three?.baseUrl ?? "", "timeouts: { idel: 5s }\n"));
  await logs(running, /timeouts\.idel: unknown key; did you mean idle\?.*refused/s);
  await says(running, "two");
  writeFileSync(`${file}.new`, yaml(three?.baseUrl ?? "", "port: 1\nlog: { level: debug }\n"));
  renameSync(`${file}.new`, file);
  await says(running, "three");
  await logs(running, /configuration reloaded/);
  expect(running.output()).not.toMatch(/need a restart/);
});

test("a file that was emptied is refused, and the upstream goes on answering", async ({ startUpstream, spawnPerennial }) => {
  const one = await startUpstream(saying("one"));
  const { file, running } = await startProcess(spawnPerennial, yaml(one.baseUrl));
  await says(running, "one");
  writeFileSync(file, "");
  await logs(running, /upstreams: there is none any more.*refused/s);
  await says(running, "one");
});

test("SIGHUP reloads, with a file or without, and does not end the program", async ({ spawnPerennial }) => {
  const running = await spawnPerennial(["--port", "0"]);
  running.process.kill("SIGHUP");
  await logs(running, /nothing has changed/);
  expect((await chat(`${running.url}/v1`)).status).toBe(200);
  expect(await running.stop("SIGTERM")).toBe(0);
});

test("a new log level applies", async ({ spawnPerennial }) => {
  const { file, running } = await startProcess(spawnPerennial, "retry: { backoff: { initial: 1ms } }\n");
  const retryOnce = () => chat(`${running.url}/v1`, { model: "chaos/empty,ok" });
  await retryOnce();
  await logs(running, /recovered after 2 attempts/);
  writeFileSync(file, "retry: { backoff: { initial: 1ms } }\nlog: { level: warn }\n");
  // At the new level the reload itself is not told.
  await expect
    .poll(async () => {
      const before = running.output();
      await retryOnce();
      return running.output() === before;
    })
    .toBe(true);
});
