import pino from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { chatEvents, frame, type RawUpstream, startRawUpstream } from "../../test/support/raw-upstream.ts";
import { configSchema } from "../config/schema.ts";
import { HeldMemory } from "../core/held-memory.ts";
import { openAiChat as dialect } from "../dialect/openai-chat.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import { KeptStreams } from "../run/kept-streams.ts";
import type { Place, Successor } from "../run/takeover.ts";
import { openRuntime, type Runtime } from "../runtime/runtime.ts";
import { createSuccessor } from "./successor.ts";

const BODY = '{"model":"m","stream":true,"messages":[]}';
const KEEP = { ttl: 60_000, linger: 60_000, maxStreamBytes: 1_000_000, maxTotalBytes: 1_000_000 };

let upstream: RawUpstream;
let runtime: Runtime;
let successor: Successor;
let replies: boolean;
const lines: { outcome?: string }[] = [];

beforeEach(async () => {
  lines.length = 0;
  replies = true;
  upstream = await startRawUpstream((socket) => replies && socket.write(frame("chunked", chatEvents(["Hello"]))));
  const config = configSchema.parse({ upstreams: [{ baseUrl: upstream.baseUrl }], replay: {}, limits: { maxStreams: 1 } });
  runtime = await openRuntime(config, pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }));
  successor = createSuccessor(runtime.open, () => runtime.current().settings);
});

afterEach(async () => {
  await runtime.drain();
  await runtime.close();
  await upstream.close();
});

/** An answer that another replica had been asked for, of which nobody has anything yet. */
function taken(asked: { path?: string; headers?: Record<string, string> } = {}) {
  const api = { dialect, request: dialect.parseRequest(JSON.parse(BODY)) };
  const stream: KeptStream = new KeptStreams(new HeldMemory()).open({ client: "c", request: "r", api }, KEEP);
  const request = { method: "POST", path: "/chat/completions", headers: {}, body: BODY, ...asked };
  return { stream, request, legs: [], isCut: false };
}

const isFree = async (): Promise<boolean> => {
  const place = await successor();
  place?.release();
  return place !== undefined;
};

it("asks again for what nobody has had, as an exchange that counts", async () => {
  const place = (await successor()) as Place;
  expect(place.keep).toBe(runtime.current().settings.relay.replay);
  expect(await isFree()).toBe(false);
  const answer = taken();
  place.begin(answer);
  await expect.poll(() => answer.stream.end).toMatchObject({ kind: "answered", outcome: "complete" });
  expect(upstream.requests.map(({ head, body }) => [head.split("\r\n", 1)[0], body])).toEqual([
    ["POST /v1/chat/completions HTTP/1.1", BODY],
  ]);
  await expect.poll(isFree).toBe(true);
  expect(lines.flatMap(({ outcome }) => outcome ?? [])).toEqual(["recovered"]);
});

it("takes a place as clients do: none where none is free, none while it drains, and none where nothing is kept", async () => {
  const place = (await successor()) as Place;
  expect(await successor()).toBeUndefined();
  place.release();
  const { settings } = runtime.current();
  const keepsNothing = { ...settings, relay: { ...settings.relay, replay: undefined } };
  expect(await createSuccessor(runtime.open, () => keepsNothing)()).toBeUndefined();
  expect(await isFree()).toBe(true);
  runtime.open.draining = true;
  expect(await successor()).toBeUndefined();
});

it.each([
  [{ path: "/../admin" }, "The path must not contain dot segments."],
  [{ path: "http://elsewhere/chat/completions" }, "The request target must be a path."],
  [{ headers: { "x-perennial-gate": "none" } }, "The header x-perennial-gate must be content or whole."],
])("asks nothing that no client could have asked, and tells those who read it: %j", async (asked, message) => {
  const answer = taken(asked);
  ((await successor()) as Place).begin(answer);
  expect(answer.stream.end).toMatchObject({ kind: "failed", message, failure: { code: "invalid_request" }, seams: [] });
  // In the words of its dialect.
  const [, said = "{}"] = /^data: (.*)\n\n$/.exec((answer.stream.end as { errorEvent: string }).errorEvent) ?? [];
  expect(JSON.parse(said).error).toMatchObject({ message, code: "invalid_request" });
  expect([upstream.requests.length, await isFree()]).toEqual([0, true]);
});

it("ends what is not at its end when the time to drain is over", async () => {
  replies = false;
  const answer = taken();
  ((await successor()) as Place).begin(answer);
  await expect.poll(() => upstream.requests.length).toBe(1);
  await runtime.open.drain(0);
  expect(answer.stream.end).toMatchObject({ kind: "failed", failure: { code: "draining" } });
});
