/** Patience: what healthy servers take their time with arrives whole, with one request; what has died is told in time. */
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chat, type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatAnswer,
  chatEvents,
  frame,
  jsonReply,
  type RawUpstream,
  SSE_HEAD,
  startRawUpstream,
} from "./support/raw-upstream.ts";

/** A minute of the defaults, in milliseconds here: all clocks are shorter by the same factor, but never so short that a busy machine reads too late. */
const MINUTE = Math.min(1_500, Math.max(300, Math.round(await timeToStart(16))));
const CLOCKS = {
  firstToken: `${3 * MINUTE}ms`,
  idle: `${2 * MINUTE}ms`,
  alive: `${10 * MINUTE}ms`,
  total: `${15 * MINUTE}ms`,
  unstreamed: `${60 * MINUTE}ms`,
};
const SETTINGS = { timeouts: CLOCKS, gate: { holdFor: `${MINUTE}ms` } };
const PING_MS = MINUTE / 6;

type Step = string | { readonly silence: number } | { readonly pings: string; readonly for: number };

/** So many side by side, as the tests below run, in milliseconds: as long as the machine may keep one of them waiting. */
async function timeToStart(count: number): Promise<number> {
  const began = performance.now();
  const answer = frame("chunked", chatEvents(["Hello"]));
  const one = async (): Promise<void> => {
    const upstream = await startRawUpstream((socket) => socket.write(answer));
    const perennial = await startPerennial(upstream.baseUrl);
    await chat(perennial.baseUrl);
    await perennial.close();
    await upstream.close();
  };
  await Promise.all(Array.from({ length: count }, one));
  return performance.now() - began;
}

interface World extends AsyncDisposable {
  readonly upstream: RawUpstream;
  readonly perennial: TestPerennial;
}

/** @param answers one for each request; the last repeats. It ends with its connection, unless its last step is a silence. */
async function serve(answers: readonly (readonly Step[])[], settings: Record<string, unknown> = SETTINGS): Promise<World> {
  const upstream = await startRawUpstream(async (socket, { number }) => {
    const steps = answers[Math.min(number, answers.length) - 1] as readonly Step[];
    for (const step of steps) await play(socket, step);
    socket.end();
  });
  const perennial = await startPerennial(upstream.baseUrl, settings);
  return {
    upstream,
    perennial,
    async [Symbol.asyncDispose]() {
      await perennial.close();
      await upstream.close();
    },
  };
}

async function play(socket: Socket, step: Step): Promise<void> {
  if (step === "reset") {
    // A reset overtakes what has not been read.
    await pause(100);
    socket.resetAndDestroy();
  } else if (typeof step === "string") socket.write(step);
  else if ("silence" in step) await pause(step.silence * MINUTE);
  else {
    const until = performance.now() + step.for * MINUTE;
    while (performance.now() < until && !socket.destroyed) {
      socket.write(step.pings);
      await pause(PING_MS);
    }
  }
}

const HEAD = `${SSE_HEAD}connection: close\r\n\r\n`;
const forEver = { silence: 200 };
const named = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const ping = named("ping", {});
const comment = ": still here\n\n";

const begin = named("message_start", { message: { id: "m", type: "message", role: "assistant", content: [], usage: {} } });
const block = (index: number, content_block: object): string => named("content_block_start", { index, content_block });
const delta = (index: number, fields: object): string => named("content_block_delta", { index, delta: fields });
const stopped = (index: number): string => named("content_block_stop", { index });
const text = [block(0, { type: "text", text: "" }), delta(0, { type: "text_delta", text: "Hello" }), stopped(0)];
const end = [named("message_delta", { delta: { stop_reason: "end_turn" }, usage: {} }), named("message_stop", {})];
const tool = (index: number): string => block(index, { type: "tool_use", id: `t${index}`, name: "write", input: {} });
const input = (index: number, partial_json: string): string => delta(index, { type: "input_json_delta", partial_json });

const created = named("response.created", { response: { id: "r", status: "in_progress" } });
const reasoning = named("response.output_item.added", { output_index: 0, item: { id: "rs", type: "reasoning", summary: [] } });
const said = named("response.output_text.delta", { output_index: 1, delta: "Hello" });
const completed = named("response.completed", { response: { id: "r", status: "completed", output: [] } });
const keepalive = named("keepalive", {});

const chatOpening = chatEvents([])[0] as string;
const [chatHello, ...chatEnd] = chatEvents(["Hello"]).slice(1) as [string, ...string[]];
const call = (index: number, args: string, id?: string): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{ index, id, function: { arguments: args } }] }, finish_reason: null }] })}\n\n`;
const callsEnd = ['data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n', "data: [DONE]\n\n"];

const PATHS = { chat: "/chat/completions", messages: "/messages", responses: "/responses", completions: "/completions" };
type Api = keyof typeof PATHS;

function ask({ perennial }: World, api: Api, fields: object = {}, headers: Record<string, string> = {}): Promise<Seen> {
  return send(perennial.baseUrl + PATHS[api], {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "m", stream: true, messages: [], ...fields }),
  });
}

const codeOf = ({ body }: Seen): string | undefined => /"code":"(\w+)"/.exec(body)?.[1];

describe.concurrent("whole, with one request:", () => {
  test.each<[string, Api, readonly Step[]]>([
    ["thoughts that are not shown, with pings for 6 minutes", "messages", [begin, { pings: ping, for: 6 }, ...text, ...end]],
    ["the same in mid-answer", "messages", [begin, ...text, { pings: ping, for: 6 }, ...text, ...end]],
    [
      "thoughts of a responses model, with keepalives",
      "responses",
      [created, reasoning, { pings: keepalive, for: 6 }, said, completed],
    ],
    ["an open reasoning item, in silence", "responses", [created, reasoning, { silence: 5 }, said, completed]],
    [
      "a prompt that is read for 6 minutes, with comments",
      "chat",
      [{ pings: comment, for: 6 }, chatOpening, chatHello, ...chatEnd],
    ],
    ["a role, and silence until the first token", "chat", [chatOpening, { silence: 5 }, chatHello, ...chatEnd]],
    ["a first token after 75 s", "chat", [{ silence: 1.25 }, chatOpening, chatHello, ...chatEnd]],
    ["a first token after 150 s", "chat", [{ silence: 2.5 }, chatHello, ...chatEnd]],
    ["blank data lines for 6 minutes", "chat", [{ pings: "data: \n\n", for: 6 }, chatHello, ...chatEnd]],
    ["100 s of silence between two words", "chat", [chatHello, { silence: 1.6 }, chatHello, ...chatEnd]],
    ["comments for 6 minutes between two words", "chat", [chatHello, { pings: comment, for: 6 }, chatHello, ...chatEnd]],
    [
      "a tool input that is made for 6 minutes, with pings",
      "messages",
      [begin, tool(0), { pings: ping, for: 6 }, stopped(0), ...end],
    ],
    [
      "a tool input that comes in pieces for 6 minutes",
      "messages",
      [begin, tool(0), { pings: input(0, "x"), for: 6 }, stopped(0), ...end],
    ],
    ["a call of chat that comes in pieces", "chat", [{ pings: call(0, "x", "a"), for: 6 }, ...callsEnd]],
    ["a stream that flows for longer than timeouts.total", "chat", [{ pings: chatHello, for: 18 }, ...chatEnd]],
  ])("%s (%s)", async (_what, api, steps) => {
    await using world = await serve([[HEAD, ...steps]]);
    const seen = await ask(world, api);
    expect(codeOf(seen)).toBeUndefined();
    const last = { messages: "message_stop", responses: "response.completed", chat: "[DONE]", completions: "" }[api];
    expect(seen.body).toContain(last);
    expect(await world.perennial.exchangeLog()).toMatchObject({ outcome: "complete", attempts: [{}] });
    expect(world.upstream.requests).toHaveLength(1);
  });

  test("an answer that is not streamed and takes longer than timeouts.total", async () => {
    await using world = await serve([[{ silence: 18 }, jsonReply(chatAnswer("Hello"))]]);
    expect(await ask(world, "chat", { stream: false })).toMatchObject({ status: 200, body: chatAnswer("Hello") });
    expect(world.upstream.requests).toHaveLength(1);
  });

  test("a picture whose first byte comes long after its head", async () => {
    await using world = await serve([[HEAD, { silence: 5 }, "data: {}\n\n", { silence: 1.6 }, "data: {}\n\n"]]);
    const seen = await send(`${world.perennial.baseUrl}/images/generations`, { method: "POST", body: "{}" });
    expect(seen).toMatchObject({ body: "data: {}\n\ndata: {}\n\n", end: "clean" });
  });

  test("a request that waits for a connection for longer than timeouts.firstToken", async () => {
    const slow = [HEAD, chatHello, { pings: chatHello, for: 4 }, ...chatEnd];
    await using world = await serve([slow], { ...SETTINGS, upstream: { maxConnections: 1 } });
    const both = await Promise.all([ask(world, "chat"), ask(world, "chat")]);
    expect(both.map(codeOf)).toEqual([undefined, undefined]);
    expect(world.upstream.requests).toHaveLength(2);
  });
});

describe.concurrent("told in time:", () => {
  /** In the minutes of the defaults. */
  async function told(world: World, api: Api, fields?: object, headers?: Record<string, string>) {
    const began = performance.now();
    const seen = await ask(world, api, fields, headers);
    return {
      code: codeOf(seen),
      minutes: (performance.now() - began) / MINUTE,
      requests: world.upstream.requests.length,
      body: seen.body,
    };
  }

  test.each<[string, Api, readonly Step[], string, number, number, string]>([
    ["a server that says nothing, twice", "chat", [forEver], "first_token_timeout", 6, 2, "firstToken"],
    ["a head and nothing more, twice", "messages", [HEAD, forEver], "first_token_timeout", 6, 2, "firstToken"],
    ["pings and nothing more, once", "messages", [HEAD, begin, { pings: ping, for: 30 }], "first_token_timeout", 10, 1, "alive"],
    ["a role and nothing more, once", "chat", [HEAD, chatOpening, forEver], "first_token_timeout", 10, 1, "alive"],
    ["silence in mid-answer", "chat", [HEAD, chatHello, forEver], "stream_stalled", 2, 1, "idle"],
    ["pings in mid-answer", "messages", [HEAD, begin, ...text, { pings: ping, for: 30 }], "stream_stalled", 10, 1, "alive"],
    [
      "keepalives in mid-answer",
      "responses",
      [HEAD, created, said, { pings: keepalive, for: 30 }],
      "stream_stalled",
      10,
      1,
      "alive",
    ],
  ])("%s (%s)", async (_what, api, steps, code, minutes, requests, clock) => {
    await using world = await serve([steps]);
    const seen = await told(world, api);
    expect(seen).toMatchObject({ code, requests });
    expect(seen.minutes).toBeGreaterThan(minutes - 0.1);
    expect(seen.body).toContain(`timeouts.${clock}`);
  });

  test("an answer that is not streamed and never comes, after timeouts.unstreamed", async () => {
    await using world = await serve([[forEver]], { timeouts: { total: `${MINUTE}ms` } });
    const seen = await told(world, "chat", { stream: false });
    expect(seen).toMatchObject({ code: "deadline_exceeded", requests: 1 });
    expect(seen.minutes).toBeGreaterThan(3.9);
  });

  test("one that fails after timeouts.total is not asked for again", async () => {
    const timeouts = { total: `${10 * MINUTE}ms` };
    await using world = await serve([[{ silence: 12 }, jsonReply("{}", "503 Busy")]], { timeouts });
    expect(await ask(world, "chat", { stream: false })).toMatchObject({ status: 503 });
    expect(world.upstream.requests).toHaveLength(1);
  });

  test("a stream without content, after timeouts.total", async () => {
    await using world = await serve([[HEAD, { pings: comment, for: 30 }]], { timeouts: { total: `${2 * MINUTE}ms` } });
    expect(await told(world, "chat")).toMatchObject({ code: "deadline_exceeded", requests: 1 });
  });

  test("a stream that flows for longer than timeouts.stream", async () => {
    const timeouts = { ...CLOCKS, stream: `${3 * MINUTE}ms` };
    await using world = await serve([[HEAD, { silence: 1 }, { pings: chatHello, for: 30 }]], { timeouts });
    const seen = await told(world, "chat");
    expect(seen).toMatchObject({ code: "deadline_exceeded", requests: 1 });
    expect(seen.minutes).toBeGreaterThan(3.9);
  });
});

describe.concurrent("a held tool call", () => {
  const cutCall: Record<string, [Api, readonly Step[], string]> = {
    messages: ["messages", [begin, tool(0), input(0, "first-call")], "first-call"],
    responses: [
      "responses",
      [
        created,
        named("response.output_item.added", { output_index: 0, item: { type: "function_call", arguments: "" } }),
        named("response.function_call_arguments.delta", { output_index: 0, delta: "first-call" }),
      ],
      "first-call",
    ],
    chat: ["chat", [call(0, "first-call", "a")], "first-call"],
  };

  test.each(Object.entries(cutCall))(
    "goes on as it comes after gate.holdFor, and a cut in it is told (%s)",
    async (_name, [api, steps, words]) => {
      await using world = await serve([[HEAD, ...steps, { silence: 1.6 }]]);
      const seen = await ask(world, api);
      expect(seen.body).toContain(words);
      expect(codeOf(seen)).toBe("stream_truncated");
      expect(world.upstream.requests).toHaveLength(1);
    },
  );

  test.each(Object.entries(cutCall))(
    "that is cut before is not shown, and tried again (%s)",
    async (_name, [api, steps, words]) => {
      await using world = await serve([[HEAD, ...steps, { silence: 0.3 }]], { ...SETTINGS, gate: { holdFor: "5s" } });
      const seen = await ask(world, api);
      expect(seen.body).not.toContain(words);
      expect([codeOf(seen), seen.status]).toEqual(["stream_truncated", 502]);
      expect(world.upstream.requests).toHaveLength(3);
    },
  );

  const second: Record<string, [Api, readonly Step[]]> = {
    messages: ["messages", [stopped(0), tool(1), input(1, "second-call")]],
    responses: [
      "responses",
      [
        named("response.output_item.done", { output_index: 0, item: { type: "function_call", arguments: "first-call" } }),
        named("response.output_item.added", { output_index: 1, item: { type: "function_call", arguments: "" } }),
        named("response.function_call_arguments.delta", { output_index: 1, delta: "second-call" }),
      ],
    ],
    chat: ["chat", [call(0, "", "a"), call(1, "second-call", "b"), call(1, "second-call")]],
  };

  test.each(Object.entries(second))("that was released leaves the next one held (%s)", async (name, [api, steps]) => {
    const held = { gate: { holdFor: `${8 * MINUTE}ms` } };
    await using world = await serve([[HEAD, ...(cutCall[name]?.[1] ?? []), { silence: 10 }, ...steps]], held);
    const seen = await ask(world, api);
    expect(seen.body).toContain("first-call");
    expect(seen.body).not.toContain("second-call");
    expect(codeOf(seen)).toBe("stream_truncated");
  });

  test("of an attempt that has failed is given to nobody, however long the next one takes", async () => {
    const retry = { backoff: { initial: `${10 * MINUTE}ms`, jitter: false } };
    await using world = await serve(
      [
        [HEAD, call(0, "first-call", "a")],
        [HEAD, chatHello, ...chatEnd],
      ],
      { gate: { holdFor: `${8 * MINUTE}ms` }, retry },
    );
    const seen = await ask(world, "chat");
    expect(seen.body).not.toContain("first-call");
    expect(seen.body).toContain("[DONE]");
    expect(await world.perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });
});

describe.concurrent("an answer without its end:", () => {
  test("a finish and then silence is whole after 10 s, at the default times", async () => {
    await using world = await serve([[HEAD, chatHello, chatEnd[0] as string, forEver]], {});
    const began = performance.now();
    const seen = await ask(world, "chat");
    expect(seen.body.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(performance.now() - began).toBeGreaterThan(9_900);
    expect(await world.perennial.exchangeLog()).toMatchObject({ outcome: "repaired", attempts: [{}] });
  });

  const answers: [Api, object][] = [
    ["chat", JSON.parse(chatAnswer("Hello"))],
    ["completions", { choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] }],
    ["messages", { type: "message", content: [{ type: "text", text: "Hello" }], stop_reason: "end_turn" }],
    ["responses", { status: "completed", output: [{ type: "message", content: [{ type: "output_text", text: "Hello" }] }] }],
  ];
  const heads = {
    "without its last chunk": (body: string) => `transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
    "shorter than its length says": (body: string) => `content-length: ${body.length + 9}\r\n\r\n${body}`,
  };

  test.each(answers.flatMap(([api, answer]) => Object.entries(heads).map(([how, frame]) => ({ api, answer, how, frame }))))(
    "JSON that is whole and finished, $how ($api)",
    async ({ api, answer, frame }) => {
      const body = JSON.stringify(answer);
      await using world = await serve([[`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${frame(body)}`]]);
      expect(await ask(world, api, { stream: false })).toMatchObject({ status: 200, body, end: "clean" });
      expect(world.upstream.requests).toHaveLength(1);
    },
  );

  test.each([
    ["streamed", true, [HEAD, chatHello, chatEnd[0] as string, "reset"], "[DONE]"],
    [
      "not streamed",
      false,
      [`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${heads["without its last chunk"](chatAnswer("Hello"))}`, "reset"],
      "Hello",
    ],
  ])("a finish, and a reset behind it (%s)", async (_how, stream, steps, ending) => {
    await using world = await serve([steps]);
    expect((await ask(world, "chat", { stream })).body).toContain(ending);
    expect(world.upstream.requests).toHaveLength(1);
  });

  test("JSON that stops in the middle, or says nothing of its finish, is asked for again", async () => {
    const unfinished = chatAnswer("Hello", null);
    for (const body of [chatAnswer("Hello").slice(0, -1), unfinished]) {
      const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
      await using world = await serve([[head + heads["without its last chunk"](body)], [jsonReply(chatAnswer("Hello"))]]);
      expect((await ask(world, "chat", { stream: false })).body).toBe(chatAnswer("Hello"));
      expect(world.upstream.requests).toHaveLength(2);
    }
  });
});
