/** What happens a second time: a finish, a delta, a large tool call, a reload. */
import { describe, expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, codeIn, readStream, type Seen, send } from "./support/client.ts";
import { choice, DONE, toolCall, typed } from "./support/events.ts";
import { chatEvents, frame } from "./support/raw-upstream.ts";
import { type Answer, test } from "./support/test.ts";

const ONCE = { retry: { maxAttempts: 1 } };
const text = (content: string): string => choice({ content });
const FINISH = choice({}, "stop");

describe("a finish", () => {
  test.for([
    ["twice, is the end all the same", [text("a"), FINISH, FINISH], "whole"],
    ["then text, is none", [text("a"), FINISH, text("b")], "cut"],
    ["then text, then another, is none: a third may follow", [text("a"), FINISH, text("b"), FINISH], "cut"],
    ["then text, then another, then [DONE], is the end", [text("a"), FINISH, text("b"), FINISH, DONE], "whole"],
    ["then [DONE] on a line of its own, is the end", [text("a"), FINISH, "[DONE]\n\n"], "whole"],
    ["then such a [DONE], then text and another, is none", [text("a"), FINISH, "[DONE]\n\n", text("b"), FINISH], "cut"],
    [
      "of another choice alone, is not that of the first",
      [text("a"), choice({ content: "b" }, null, 1), choice({}, "stop", 1)],
      "cut",
    ],
    ["of each choice, in either order, is the end", [text("a"), choice({ content: "b" }, "stop", 1), FINISH], "whole"],
    ["then a tool call, is none", [text("a"), FINISH, toolCall(0, "{}", "f")], "cut"],
    ["then a tool call and its finish, is none", [text("a"), FINISH, toolCall(0, "{}", "f"), choice({}, "tool_calls")], "cut"],
  ] as const)("%s", async ([_what, events, end], { serve }) => {
    const { perennial } = await serve([events], ONCE);
    const { errorCode } = readStream((await chat(perennial.baseUrl)).body);
    expect(errorCode).toBe(end === "whole" ? undefined : "stream_truncated");
  });
});

describe("a message", () => {
  const start = typed("message_start", {
    message: { id: "m", role: "assistant", content: [], usage: { input_tokens: 2, output_tokens: 1 } },
  });
  const block = (index: number, words: string): string[] => [
    typed("content_block_start", { index, content_block: { type: "text", text: "" } }),
    typed("content_block_delta", { index, delta: { type: "text_delta", text: words } }),
    typed("content_block_stop", { index }),
  ];
  const delta = (stop_reason: string | null, usage: object = {}): string =>
    typed("message_delta", { delta: { stop_reason }, usage });
  const STOP = typed("message_stop");
  const ask = (baseUrl: string, stream: boolean): Promise<Seen> =>
    send(`${baseUrl}/messages`, { method: "POST", body: JSON.stringify({ model: "m", max_tokens: 9, stream }) });

  test.for([
    ["whose later delta says no more is still finished", [...block(0, "a"), delta("end_turn"), delta(null)], undefined],
    [
      "whose first delta says nothing, and its second the reason, is finished",
      [...block(0, "a"), delta(null), delta("end_turn")],
      undefined,
    ],
    ["whose deltas give no reason is not", [...block(0, "a"), delta(null), delta(null)], "stream_truncated"],
    ["that goes on after its delta is not", [...block(0, "a"), delta("end_turn"), ...block(1, "b")], "stream_truncated"],
    [
      "that goes on after its delta, and has another, and its stop, is",
      [...block(0, "a"), delta("end_turn"), ...block(1, "b"), delta("end_turn"), STOP],
      undefined,
    ],
  ] as const)("%s", async ([_what, events, code], { serve }) => {
    const { perennial } = await serve([[start, ...events]], ONCE);
    expect(codeIn(await ask(perennial.baseUrl, true))).toBe(code);
  });

  test("that is joined has what its deltas said last, and nothing of it is taken back", async ({ serve }) => {
    const events = [
      start,
      ...block(0, "a"),
      delta("pause_turn", { output_tokens: 5 }),
      delta("end_turn", { output_tokens: 9 }),
      delta(null, { output_tokens: null }),
      STOP,
    ];
    const { perennial } = await serve([events], { ...ONCE, nonStreaming: "viaStream" });
    expect(JSON.parse((await ask(perennial.baseUrl, false)).body)).toMatchObject({
      content: [{ type: "text", text: "a" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 2, output_tokens: 9 },
    });
  });
});

describe("two large tool calls in one message of a chat", () => {
  const settings = { limits: { maxGateBytes: 1_000 }, ...ONCE };
  const half = "a".repeat(600);
  const begun = (index: number): string[] => [toolCall(index, half, `f${index}`), toolCall(index, "b".repeat(300))];

  test("are held together, and shown when they are complete", async ({ serve }) => {
    const small = [toolCall(0, "{}", "f0"), toolCall(1, "{}", "f1")];
    const { perennial } = await serve([[...small, choice({}, "tool_calls"), DONE]], settings);
    const seen = readStream((await chat(perennial.baseUrl)).body);
    expect(seen.data.filter((data) => data.includes("tool_calls")).length).toBe(3);
    expect(seen.done).toBe(true);
  });

  test("of which the first was too large to hold: the second is held again, and a cut shows nothing of it", async ({ serve }) => {
    const { perennial } = await serve([[...begun(0), toolCall(0, "c".repeat(200)), ...begun(1)]], settings);
    const { body } = await chat(perennial.baseUrl);
    expect(body).toContain('"f0"');
    expect(body).not.toContain('"f1"');
    expect(codeIn({ body })).toBe("stream_truncated");
  });

  test("both too large to hold, whole in the end: nothing of either is lost or told twice", async ({ serve }) => {
    const events = [...begun(0), toolCall(0, half), ...begun(1), toolCall(1, half), choice({}, "tool_calls"), DONE];
    const { perennial } = await serve([events], settings);
    const { data, done } = readStream((await chat(perennial.baseUrl)).body);
    expect(done).toBe(true);
    expect(data).toEqual(events.map((event) => event.slice("data: ".length, -2)));
  });

  test("and two such messages one after the other are held alike", async ({ serve }) => {
    const cut = [...begun(0)];
    const { perennial } = await serve([[...cut, toolCall(0, half)], cut], settings);
    expect((await chat(perennial.baseUrl)).body).toContain('"f0"');
    expect((await chat(perennial.baseUrl)).body).not.toContain('"f0"');
  });
});

describe("two reloads", () => {
  const saying =
    (word: string): Answer =>
    (socket) =>
      void socket.write(frame("chunked", chatEvents([word])));
  const settingsOf = (baseUrl: string, settings: Record<string, unknown>) =>
    configSchema.parse({ port: 0, upstreams: [{ baseUrl }], ...settings });
  const statusOf = async (url: string, key?: string): Promise<number> =>
    (await chat(`${url}/v1`, {}, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })).status;

  test("do not open the door that one may not: the host that is open stays the one of the start", async ({
    startUpstream,
    startPerennial,
  }) => {
    const { baseUrl } = await startUpstream(saying("hi"));
    const { url, reload } = await startPerennial(baseUrl, { host: "0.0.0.0", auth: { keys: ["key-one"] } });
    const local = url.replace("0.0.0.0", "127.0.0.1");
    await reload(settingsOf(baseUrl, { host: "127.0.0.1", auth: { keys: ["key-two"] } }));
    await expect(reload(settingsOf(baseUrl, { host: "127.0.0.1" }))).rejects.toThrow(/auth\.keys: 0\.0\.0\.0/);
    await expect(reload(settingsOf(baseUrl, {}))).rejects.toThrow(/auth\.keys/);
    expect([await statusOf(local), await statusOf(local, "key-one"), await statusOf(local, "key-two")]).toEqual([401, 401, 200]);
  });

  test("a key that was taken away stays away, and one that came back is a key again", async ({
    startUpstream,
    startPerennial,
  }) => {
    const { baseUrl } = await startUpstream(saying("hi"));
    const { url, reload } = await startPerennial(baseUrl, { auth: { keys: ["one"], maxStreamsPerKey: 1 } });
    const seen: unknown[] = [];
    for (const keys of [["two"], ["one", "two"], ["one"]]) {
      await reload(settingsOf(baseUrl, { auth: { keys, maxStreamsPerKey: 1 } }));
      seen.push([await statusOf(url, "one"), await statusOf(url, "two"), await statusOf(url)]);
    }
    expect(seen).toEqual([
      [401, 200, 401],
      [200, 200, 401],
      [200, 401, 401],
    ]);
  });

  test("there and back again leave the first upstream as it was, and one that is refused changes nothing", async ({
    startUpstream,
    startPerennial,
  }) => {
    const one = await startUpstream(saying("one"));
    const two = await startUpstream(saying("two"));
    const { baseUrl, reload } = await startPerennial(one.baseUrl, { limits: { maxStreams: 5 } });
    const said = async (): Promise<string> => readStream((await chat(baseUrl)).body).text;
    const words = [await said()];
    for (const upstream of [two, one, two]) {
      await reload(settingsOf(upstream.baseUrl, {}));
      words.push(await said());
    }
    await expect(reload(configSchema.parse({ port: 0 }))).rejects.toThrow(/sandbox/);
    words.push(await said());
    expect(words).toEqual(["one", "two", "one", "two", "two"]);
  });

  test("a second says what differs from the start, and what from the first reload", async ({ startUpstream, startPerennial }) => {
    const { baseUrl } = await startUpstream(saying("hi"));
    const { reload } = await startPerennial(baseUrl, { drain: { timeout: "1s" } });
    const drain = (timeout: string) =>
      settingsOf(baseUrl, { drain: { timeout }, retry: { outage: "2s", backoff: { initial: "1ms", jitter: false } } });
    expect(await reload(drain("2s"))).toEqual({ changed: ["drain"], needsRestart: ["drain"] });
    expect(await reload(drain("2s"))).toEqual({ changed: [], needsRestart: ["drain"] });
    expect(await reload(drain("1s"))).toEqual({ changed: ["drain"], needsRestart: [] });
  });
});
