import { describe, expect, test } from "vitest";
import type { UpstreamPolicy } from "../../balance/candidate.ts";
import type { Continuing } from "../../core/continuing.ts";
import { Failure, type FailureCode, type FailureDetails } from "../../core/failure.ts";
import type { StreamEvent } from "../../core/stream-event.ts";
import { anthropicMessages } from "../../dialect/anthropic-messages.ts";
import { continueChat } from "../../dialect/continue-chat.ts";
import { continueCompletions } from "../../dialect/continue-completions.ts";
import { type AskLeg, type Elsewhere, nextLeg, type PastLeg, type Rest } from "./next-leg.ts";
import { refusedSeam } from "./splice.ts";

const MESSAGES = [{ role: "user", content: "Why do streams break?" }];
const WORDS = ["A stream", " is a small", " promise:", " the first word", " arrives before", " the last one"];

interface Setup {
  readonly continuing?: Continuing;
  readonly body?: object;
  readonly words?: readonly string[];
  /** More that was given. */
  readonly and?: readonly object[];
  readonly resume?: Partial<UpstreamPolicy["resume"]>;
  readonly continuation?: UpstreamPolicy["continuation"];
  readonly recovery?: UpstreamPolicy["recovery"];
  readonly remainingMs?: number;
  readonly kept?: string;
  readonly hasRefused?: boolean;
  readonly isUnfit?: boolean;
  readonly elsewhere?: Elsewhere;
}

const fails = (code: FailureCode, details?: FailureDetails): Failure => new Failure(code, code, details);
const broke = (failure: Failure): PastLeg => ({ ask: undefined, failure, isTold: true });
const asked: AskLeg = { kind: "rerun" };
const CUT = broke(fails("stream_truncated"));

const event = (json: object): StreamEvent => ({ event: undefined, data: JSON.stringify(json) });
const delta = (value: object, finish_reason: string | null = null): StreamEvent =>
  event({ id: "c", choices: [{ index: 0, delta: value, finish_reason }] });

/** What is decided after these attempts, for a chat at temperature 0 unless told otherwise. */
function decide(legs: readonly PastLeg[], setup: Setup = {}) {
  const { continuing = continueChat } = setup;
  const record = continuing.record();
  for (const content of setup.words ?? WORDS) record.add(delta({ content }));
  for (const one of setup.and ?? []) record.add(one as StreamEvent);
  return nextLeg(
    {
      policy: {
        recovery: setup.recovery ?? "continue",
        continuation: setup.continuation ?? "assistant",
        resume: {
          proof: "auto",
          maxAttempts: 1,
          minChars: 40,
          tail: 24,
          tools: "refuse",
          structured: "refuse",
          background: false,
          ...setup.resume,
        },
      },
      continuing,
      known: {
        kept: () => (setup.kept === undefined ? undefined : { path: setup.kept, from: "beginning" }),
        hasRefused: () => setup.hasRefused ?? false,
        isUnfit: () => setup.isUnfit ?? false,
      },
      elsewhere: setup.elsewhere,
      body: () => ({ model: "m", temperature: 0, messages: MESSAGES, ...setup.body }),
    },
    record,
    legs,
    setup.remainingMs ?? 60_000,
  );
}

const inWords = (next: ReturnType<typeof decide>): string => ("rule" in next ? next.rule : next.ask.kind);
// biome-ignore lint/suspicious/noExplicitAny: bodies of every shape
const bodyOf = (next: ReturnType<typeof decide>): any => restOf(next)?.body;
const restOf = (next: ReturnType<typeof decide>): Rest | undefined => {
  const rest = "ask" in next && next.ask.kind === "continue" ? next.ask.rest(false) : undefined;
  return typeof rest === "string" ? undefined : rest;
};

describe("how it broke", () => {
  test.each<[string, PastLeg[], Setup, string]>([
    ["cut", [CUT], {}, "continue"],
    ["stalled", [broke(fails("stream_stalled"))], {}, "continue"],
    ["reset", [broke(fails("upstream_unreachable"))], {}, "continue"],
    ["with an error of the server's", [broke(fails("upstream_error_event"))], {}, "continue"],
    ["with an error of the request's", [broke(fails("upstream_error_event", { status: 400, scope: "never" }))], {}, "failure"],
    ["with events that cannot be read", [broke(fails("stream_corrupted"))], {}, "failure"],
    ["at the deadline", [broke(fails("deadline_exceeded"))], {}, "failure"],
    ["with no time left", [CUT], { remainingMs: 0 }, "time"],
    ["where only the same generation will do", [CUT], { recovery: "resume" }, "unsupported"],
    ["where the server cannot continue", [CUT], { continuation: "off" }, "unsupported"],
  ])("%s", (_what, legs, setup, expected) => {
    expect(inWords(decide(legs, setup))).toBe(expected);
  });
});

describe("what was tried", () => {
  const leg = (failure: Failure, isTold = false): PastLeg => ({ ask: asked, failure, isTold });
  const TWO = { resume: { maxAttempts: 2 } };
  test.each<[string, PastLeg[], Setup, string]>([
    ["a seam that was refused is not tried again", [CUT, leg(refusedSeam("tail"))], TWO, "tail"],
    ["a server that refuses is not asked again", [CUT, leg(fails("upstream_status", { scope: "never" }))], TWO, "refused"],
    ["one that is busy is, while attempts are left", [CUT, leg(fails("upstream_status"))], TWO, "continue"],
    ["and not beyond", [CUT, leg(fails("upstream_status"))], {}, "refused"],
    [
      "one that was out is, and that is no attempt",
      [CUT, leg(fails("upstream_unreachable", { outage: "connection" }))],
      {},
      "continue",
    ],
    ["a leg that broke too is continued", [CUT, leg(fails("stream_truncated"), true)], TWO, "continue"],
    ["and not beyond maxAttempts", [CUT, leg(fails("stream_truncated"), true)], {}, "attempts"],
    ["a leg that spoke as somebody else is not", [CUT, leg(refusedSeam("role-token"), true)], TWO, "role-token"],
    ["a leg that lacked tokens is continued", [CUT, leg(refusedSeam("max-tokens"), true)], TWO, "continue"],
    ["never with maxAttempts: 0", [CUT], { resume: { maxAttempts: 0 } }, "attempts"],
  ])("%s", (_what, legs, setup, expected) => {
    expect(inWords(decide(legs, setup))).toBe(expected);
  });
});

describe("what the upstream has kept", () => {
  const KEPT = { kept: "/stream" };
  const native: AskLeg = { kind: "native", path: "/stream", from: "beginning" };
  const leg = (ask: AskLeg, failure: Failure, isTold = false): PastLeg => ({ ask, failure, isTold });
  const gone = fails("upstream_status", { status: 404, scope: "elsewhere" });
  test.each<[string, PastLeg[], Setup, string]>([
    ["is asked for first", [CUT], KEPT, "native"],
    ["whatever the request asks for", [CUT], { ...KEPT, body: { n: 2, temperature: 1, stop: ["x"] } }, "native"],
    ["and however little was given", [CUT], { ...KEPT, words: ["A"] }, "native"],
    ["where nothing else is allowed", [CUT], { ...KEPT, recovery: "resume" }, "native"],
    ["not after a failure that speaks against the answer", [broke(fails("stream_corrupted"))], KEPT, "failure"],
    ["once; then the rest is asked for", [CUT, leg(native, gone)], KEPT, "continue"],
    [
      "once; then nothing, where nothing else is allowed",
      [CUT, leg(native, gone)],
      { ...KEPT, recovery: "resume" },
      "unsupported",
    ],
    ["not when it was another answer", [CUT, leg(native, refusedSeam("sequence"))], KEPT, "continue"],
    [
      "again where the upstream was out",
      [CUT, leg(native, fails("upstream_unreachable", { outage: "connection" }))],
      KEPT,
      "native",
    ],
    [
      "again when it breaks again",
      [CUT, leg(native, fails("stream_truncated"), true)],
      { ...KEPT, resume: { maxAttempts: 2 } },
      "native",
    ],
    [
      "not of a leg that was another generation",
      [CUT, leg(asked, fails("stream_truncated"), true)],
      { ...KEPT, resume: { maxAttempts: 2 } },
      "continue",
    ],
  ])("%s", (_what, legs, setup, expected) => {
    expect(inWords(decide(legs, setup))).toBe(expected);
  });
});

describe("what the request asks for", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  test.each<[string, object, Setup, string]>([
    ["several choices", { n: 2 }, {}, "choices"],
    ["logprobs", { logprobs: true }, {}, "logprobs"],
    ["a stop", { stop: ["\n"] }, {}, "stop"],
    ["a stop, as SGLang knows one more", { stop_regex: "[0-9]" }, {}, "stop"],
    ["no stop", { stop: [] }, {}, "continue"],
    ["the tokens beside the text", { return_token_ids: true }, {}, "logprobs"],
    ["a least number of tokens", { min_tokens: 50 }, {}, "max-tokens"],
    ["no least number of tokens", { min_tokens: 0 }, {}, "continue"],
    ["tools", { tools }, {}, "tools"],
    ["tools that it may not call", { tools, tool_choice: "none" }, {}, "continue"],
    ["tools, of which none was called", { tools }, { resume: { tools: "ifNoneCalled" } }, "continue"],
    ["functions", { functions: [{ name: "f" }] }, {}, "tools"],
    ["JSON", { response_format: { type: "json_object" } }, {}, "structured"],
    ["text", { response_format: { type: "text" } }, {}, "continue"],
    ["a grammar", { grammar: "root ::= x" }, {}, "structured"],
    ["a schema of vLLM's", { guided_json: { type: "object" } }, {}, "structured"],
    [
      "JSON, of a server that is not known to keep to it",
      { response_format: { type: "json_object" } },
      { resume: { structured: "ifItParses" } },
      "structured",
    ],
    [
      "JSON, of llama.cpp",
      { response_format: { type: "json_object" } },
      { resume: { structured: "ifItParses" }, continuation: "llamacpp" },
      "continue",
    ],
    ["audio", { modalities: ["text", "audio"] }, {}, "audio"],
    ["thoughts", { reasoning_effort: "high" }, {}, "thinking"],
    ["thoughts, as DeepSeek has them", { thinking: { type: "enabled" } }, {}, "thinking"],
    ["thoughts, as Qwen has them", { chat_template_kwargs: { enable_thinking: true } }, {}, "thinking"],
    ["no thoughts", { chat_template_kwargs: { enable_thinking: false }, reasoning_effort: "none" }, {}, "continue"],
    ["the rest of its own beginning", { messages: [...MESSAGES, { role: "assistant", content: "A" }] }, {}, "prefilled"],
    ["its prompt again", { echo: true }, {}, "echo"],
    ["fewer tokens than may have been made", { max_tokens: 60 }, {}, "max-tokens"],
    ["the same in words", { max_tokens: "60" }, {}, "max-tokens"],
    ["chance, which the server must be proved for", { temperature: 0.8 }, {}, "continue"],
    ["chance, with a server that has failed", { temperature: 0.8 }, { isUnfit: true }, "sampled"],
    ["chance by default, too", { temperature: undefined }, { isUnfit: true }, "sampled"],
    ["no chance, with a server that has failed", {}, { isUnfit: true }, "continue"],
    ["no chance, where only the server is to be proved", {}, { isUnfit: true, resume: { proof: "server" } }, "sampled"],
    ["the rest, of a server that has refused it", {}, { hasRefused: true }, "refused"],
    ["chance, where the answer proves itself", { temperature: 0.8 }, { resume: { proof: "answer" } }, "continue"],
    ["the likeliest token", { temperature: 0.8, top_k: 1 }, {}, "continue"],
  ])("%s", (_what, body, setup, expected) => {
    expect(inWords(decide([CUT], { ...setup, body }))).toBe(expected);
  });
});

describe("what was given", () => {
  test.each<[string, Setup, string]>([
    ["little", { words: ["A stream", " is"] }, "too-short"],
    ["a role token", { words: [...WORDS, "<|im_start|>user"] }, "role-token"],
    ["more than is kept of it", { words: ["x".repeat(5_000_000)] }, "too-long"],
    ["more than is kept of it, though the upstream has kept it", { words: ["x".repeat(5_000_000)], kept: "/stream" }, "too-long"],
    ["a tool call", { and: [delta({ tool_calls: [{ index: 0 }] })], resume: { tools: "ifNoneCalled" } }, "tools"],
    ["a thought", { and: [delta({ reasoning_content: "Hm" })] }, "reasoning"],
    ["a refusal", { and: [delta({ refusal: "No." })] }, "other-content"],
    ["a finish", { and: [delta({}, "stop")] }, "finished"],
    ["another choice", { and: [event({ choices: [{ index: 1, delta: { content: "B" } }] })] }, "choices"],
    ["logprobs", { and: [event({ choices: [{ index: 0, delta: { content: "B" }, logprobs: { content: [] } }] })] }, "logprobs"],
    ["a choice twice in a chunk", { and: [event({ choices: [{ delta: { content: "B" } }, { delta: {} }] })] }, "choices"],
    ["a message in place of a delta", { and: [event({ choices: [{ message: { content: "B" } }] })] }, "other-content"],
    ["token ids", { and: [event({ choices: [{ delta: { content: "B" }, token_ids: [7] }] })] }, "other-content"],
    ["half a character", { words: [...WORDS, "\ud83d"] }, "surrogates"],
  ])("%s", (_what, setup, expected) => {
    expect(inWords(decide([CUT], setup))).toBe(expected);
  });
});

describe("an answer that says the same again and again", () => {
  const AGAIN = Array(20).fill("ha ha ");
  const needsServer = (setup: Setup): boolean | string => {
    const next = decide([CUT], { words: AGAIN, ...setup });
    return "ask" in next && next.ask.kind === "continue" ? next.ask.proof === "answer" && next.ask.needsServer : inWords(next);
  };

  test("is gone on with where its server is proved as well", () => {
    expect(needsServer({})).toBe(true);
    expect(needsServer({ words: ["It begins so: ", ...AGAIN.slice(0, 5)] })).toBe(false);
  });

  test("and nowhere else", () => {
    expect(needsServer({ isUnfit: true })).toBe("repetition");
    expect(needsServer({ resume: { proof: "answer" } })).toBe("repetition");
    // That another server goes on does not show that it would have made this answer.
    expect(needsServer({ elsewhere: { model: "m" } })).toBe("repetition");
  });
});

describe("how the rest is asked for", () => {
  const prefix = WORDS.slice(0, 4).join("");
  test.each<[UpstreamPolicy["continuation"], object, object]>([
    ["assistant", {}, {}],
    ["vllm", { continue_final_message: true, add_generation_prompt: false, echo: false }, {}],
    ["sglang", { continue_final_message: true }, {}],
    ["llamacpp", { continue_final_message: true, add_generation_prompt: false }, {}],
    ["prefix", {}, { prefix: true }],
    ["partial", {}, { partial: true }],
  ])("%s", (continuation, flags, marks) => {
    expect(bodyOf(decide([CUT], { continuation }))).toEqual({
      model: "m",
      temperature: 0,
      stream: true,
      ...flags,
      messages: [...MESSAGES, { role: "assistant", content: prefix, ...marks }],
    });
  });

  test("with what is left of the client's limit, none of whose tokens is shorter than a byte", () => {
    const next = decide([CUT], { body: { max_tokens: 1_000, max_completion_tokens: 500 } });
    const left = 500 - Buffer.byteLength(prefix);
    expect(bodyOf(next)).toMatchObject({ max_tokens: left, max_completion_tokens: left });
    expect(restOf(next)).toMatchObject({ isCapped: true });
  });

  test("in completions the prompt grows", () => {
    const body = { prompt: "Once", max_tokens: 9 };
    expect(continueCompletions.askRest(body, { prefix: " upon", style: "vllm", maxTokens: 7 })).toEqual({
      prompt: "Once upon",
      max_tokens: 7,
      stream: true,
    });
    // Where no limit is asked for, most servers have one, of which no rest can be asked for.
    expect([16, 17].map((made) => continueCompletions.maxTokens({ prompt: "a" }, made))).toEqual([0, undefined]);
    const unlimited = { continuing: continueCompletions, body: { prompt: "Once", temperature: 0.8 } };
    const ten = Array.from({ length: 10 }, (_, index) => ({ text: " upon", usage: { completion_tokens: index + 1 } }));
    const events = ten.map(({ text, usage }) => event({ choices: [{ index: 0, text }], usage }));
    expect(decide([CUT], { ...unlimited, words: [], and: events })).toEqual({ rule: "max-tokens" });
    expect(inWords(decide([CUT], { ...unlimited, words: [], and: [...events, ...events] }))).toBe("continue");
    expect(continueCompletions.maxTokens({ prompt: "a", max_tokens: 40 }, 10)).toBe(40);
    expect(continueCompletions.obstacleIn({ prompt: ["a", "b"] }, { tools: false, structured: false })).toBe("unsupported");
    expect(continueCompletions.obstacleIn({ prompt: "a", suffix: "b" }, { tools: false, structured: false })).toBe("unsupported");
  });

  test("all of it again, where it is the same each time", () => {
    const again = (body: object): string => inWords(decide([CUT], { continuation: "rerun", body }));
    expect(again({})).toBe("rerun");
    expect(again({ temperature: 1 })).toBe("sampled");
    expect(again({ temperature: 1, seed: 7 })).toBe("rerun");
    // Whatever it asks for, it asks for again.
    expect(again({ stop: ["x"], response_format: { type: "json_object" } })).toBe("rerun");
  });
});

describe("messages", () => {
  const messages = anthropicMessages.continuing as Continuing;
  const obstacle = (fields: object): string | undefined =>
    messages.obstacleIn({ model: "claude-sonnet-4-5", messages: MESSAGES, ...fields }, { tools: false, structured: false });

  test.each<[string, object, string | undefined]>([
    ["a model that goes on", {}, undefined],
    ["an older one", { model: "claude-3-5-haiku-20241022" }, undefined],
    ["a model that refuses", { model: "claude-opus-4-6" }, "unsupported"],
    ["a newer one that refuses", { model: "anthropic/claude-sonnet-5" }, "unsupported"],
    ["one of a dated name", { model: "claude-sonnet-4-20250514" }, undefined],
    ["thinking", { thinking: { type: "enabled", budget_tokens: 2_000 } }, "thinking"],
    ["tools", { tools: [{ name: "f" }] }, "tools"],
    ["a stop", { stop_sequences: ["x"] }, "stop"],
    ["its own beginning", { messages: [...MESSAGES, { role: "assistant", content: "A" }] }, "prefilled"],
  ])("%s", (_what, fields, expected) => {
    expect(obstacle(fields)).toBe(expected);
  });

  test.each(["vllm", "sglang", "prefix", "partial"] as const)("has no flags for %s", (style) => {
    expect(messages.askRest({ messages: MESSAGES }, { prefix: "A", style, maxTokens: 9 })).toBeUndefined();
  });
});
