/** What each dialect knows of going on after a break: which requests and answers can, what is asked, and how the rest is told. */
import { describe, expect, test } from "vitest";
import type { Continuing } from "../core/continuing.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { continueChat } from "./continue-chat.ts";
import { continueCompletions } from "./continue-completions.ts";
import { continueMessages } from "./continue-messages.ts";
import { continueResponses } from "./continue-responses.ts";

const NONE = { tools: false, structured: false };
const ALL = { tools: true, structured: true };
const messages = [{ role: "user", content: "Why?" }];
const event = (json: object, name?: string): StreamEvent => ({ event: name, data: JSON.stringify(json) });

describe("what a request asks for that a second leg cannot keep", () => {
  const schema = { type: "json_schema", json_schema: {} };
  test.each<[Continuing, object, strict: string | undefined, allowed?: string]>([
    ...[
      {},
      { n: 1, best_of: 1, use_beam_search: false, logprobs: false, top_logprobs: 0, stop: [], echo: false },
      { n: null, stop: null, response_format: null, grammar: "", guided_json: false, format: null },
      { response_format: { type: "text" }, tools: [], functions: [], web_search_options: false },
      { tools: [{}], tool_choice: "none" },
      { functions: [{}], function_call: "none" },
      { thinking: { type: "disabled" }, enable_thinking: false, chat_template_kwargs: { enable_thinking: false } },
      { thinking: false, reasoning_effort: "none", modalities: ["text"], audio: null },
      { reasoning_effort: "minimal", reasoning: { effort: "high" }, continue_final_message: false },
      { reasoning: { effort: "none" }, reasoning_effort: null, add_generation_prompt: true },
    ].map((body) => [continueChat, body, undefined] as [Continuing, object, undefined]),
    ...["n", "best_of"].map((key) => [continueChat, { [key]: 2 }, "choices", "choices"] as [Continuing, object, string, string]),
    [continueChat, { n: "3" }, "choices", "choices"],
    [continueChat, { use_beam_search: true }, "choices", "choices"],
    [continueChat, { logprobs: true }, "logprobs", "logprobs"],
    [continueChat, { top_logprobs: 1 }, "logprobs", "logprobs"],
    [continueChat, { prompt_logprobs: 1 }, "logprobs", "logprobs"],
    [continueChat, { stop: "x" }, "stop", "stop"],
    [continueChat, { stop: ["x"] }, "stop", "stop"],
    [continueChat, { echo: true }, "echo", "echo"],
    ...["grammar", "json_schema", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"].map(
      (key) => [continueChat, { [key]: "x" }, "structured"] as [Continuing, object, string],
    ),
    ...["regex", "ebnf", "structural_tag", "format"].map(
      (key) => [continueChat, { [key]: { a: 1 } }, "structured"] as [Continuing, object, string],
    ),
    [continueChat, { response_format: schema }, "structured"],
    [continueChat, { response_format: "json" }, "structured"],
    [continueChat, { tools: [{}] }, "tools"],
    [continueChat, { functions: [{}] }, "tools"],
    [continueChat, { web_search_options: {} }, "tools"],
    [continueChat, { tools: [{}], tool_choice: "auto", function_call: "none" }, "tools"],
    [continueChat, { thinking: true }, "thinking", "thinking"],
    [continueChat, { thinking: { type: "enabled" } }, "thinking", "thinking"],
    [continueChat, { enable_thinking: true }, "thinking", "thinking"],
    [continueChat, { chat_template_kwargs: { enable_thinking: true } }, "thinking", "thinking"],
    [continueChat, { chat_template_kwargs: { thinking: true } }, "thinking", "thinking"],
    [continueChat, { reasoning_effort: "low" }, "thinking", "thinking"],
    [continueChat, { reasoning: {} }, "thinking", "thinking"],
    [continueChat, { reasoning: { effort: "high" } }, "thinking", "thinking"],
    [continueChat, { audio: { voice: "a" } }, "audio", "audio"],
    [continueChat, { modalities: ["text", "audio"] }, "audio", "audio"],
    [continueChat, { messages: [...messages, { role: "assistant", content: "A" }] }, "prefilled", "prefilled"],
    [continueChat, { continue_final_message: true }, "prefilled", "prefilled"],
    [continueChat, { add_generation_prompt: false }, "prefilled", "prefilled"],
    [continueChat, { messages: "Why?" }, "unsupported", "unsupported"],
    [continueCompletions, { prompt: "Why?" }, undefined],
    [continueCompletions, { prompt: ["Why?"] }, "unsupported", "unsupported"],
    [continueCompletions, { prompt: "Why?", suffix: "." }, "unsupported", "unsupported"],
    [continueCompletions, { prompt: "Why?", suffix: "" }, undefined],
    [continueCompletions, { prompt: "Why?", echo: true }, "echo", "echo"],
    [continueCompletions, { prompt: "Why?", guided_json: {}, regex: "x" }, "structured"],
    [continueMessages, {}, undefined],
    [continueMessages, { tools: [{}], tool_choice: { type: "none" } }, undefined],
    [continueMessages, { thinking: { type: "disabled" }, stop_sequences: [], mcp_servers: [], output_config: {} }, undefined],
    ...["claude-3-7-sonnet-latest", "claude-sonnet-4-5", "claude-opus-4-1", "glm-4.7"].map(
      (model) => [continueMessages, { model }, undefined] as [Continuing, object, undefined],
    ),
    ...["claude-opus-4-6", "claude-sonnet-4.6", "us.anthropic.claude-haiku-5", "Claude-Fable-5-1"].map(
      (model) => [continueMessages, { model }, "unsupported", "unsupported"] as [Continuing, object, string, string],
    ),
    [continueMessages, { messages: {} }, "unsupported", "unsupported"],
    [continueMessages, { tools: [{}] }, "tools"],
    [continueMessages, { mcp_servers: [{}], tool_choice: { type: "auto" } }, "tools"],
    [continueMessages, { thinking: { type: "adaptive" } }, "thinking", "thinking"],
    [continueMessages, { stop_sequences: ["x"] }, "stop", "stop"],
    [continueMessages, { output_format: { a: 1 } }, "structured"],
    [continueMessages, { output_config: { format: { a: 1 } } }, "structured"],
    [continueMessages, { messages: [...messages, { role: "assistant", content: "A" }] }, "prefilled", "prefilled"],
    [continueResponses, {}, "unsupported", "unsupported"],
  ])("%#: %o", (dialect, body, strict, allowed) => {
    const whole = { messages, ...body };
    expect([dialect.obstacleIn(whole, NONE), dialect.obstacleIn(whole, ALL)]).toEqual([strict, allowed]);
  });

  test("what is no object can be asked nothing", () => {
    for (const dialect of [continueChat, continueCompletions, continueMessages])
      for (const body of [undefined, null, "x", []]) {
        expect(dialect.obstacleIn(body, ALL)).toBe("unsupported");
        expect(dialect.askRest(body, { prefix: "A", style: "assistant", maxTokens: 1 })).toBeUndefined();
        expect(dialect.isDeterministic(body)).toEqual({ greedy: false, seeded: false });
        expect(dialect.maxTokens(body, 17)).toBeUndefined();
      }
    expect(continueResponses.askInBackground?.("x")).toBeUndefined();
  });
});

test("what is asked for the rest", () => {
  const prefix = "A stream";
  const last = { role: "assistant", content: prefix };
  const body = { model: "m", max_tokens: 9, n_predict: -1, messages, stream: false };
  const flags = { continue_final_message: true };
  for (const [style, top, mark] of [
    ["assistant", {}, {}],
    ["vllm", { ...flags, add_generation_prompt: false, echo: false }, {}],
    ["sglang", flags, {}],
    ["llamacpp", { ...flags, add_generation_prompt: false }, {}],
    ["prefix", {}, { prefix: true }],
    ["partial", {}, { partial: true }],
  ] as const) {
    const asked = { ...body, ...top, stream: true, messages: [...messages, { ...last, ...mark }] };
    expect(continueChat.askRest(body, { prefix, style, maxTokens: 4 })).toEqual({ ...asked, max_tokens: 4 });
    expect(continueChat.askRest(body, { prefix, style, maxTokens: undefined })).toEqual(asked);
    const takes = style === "assistant" || style === "llamacpp";
    const message = { ...body, stream: true, messages: [...messages, last] };
    expect(continueMessages.askRest(body, { prefix, style, maxTokens: 4 })).toEqual(
      takes ? { ...message, max_tokens: 4 } : undefined,
    );
    expect(continueMessages.askRest(body, { prefix, style, maxTokens: undefined })).toEqual(takes ? message : undefined);
  }
  const rest = { prefix, style: "assistant", maxTokens: 4 } as const;
  expect(continueCompletions.askRest({ prompt: "Why? ", max_tokens: 9 }, rest)).toEqual({
    prompt: "Why? A stream",
    max_tokens: 4,
    stream: true,
  });
  expect(continueCompletions.askRest({ prompt: ["Why? "] }, rest)).toBeUndefined();
  for (const dialect of [continueChat, continueMessages]) expect(dialect.askRest({ messages: "Why?" }, rest)).toBeUndefined();
  expect(continueResponses.askRest({ input: "Why?" }, rest)).toBeUndefined();
  expect(continueResponses.askQuestion({ input: "Why?" }, "1+1?", 5)).toBeUndefined();
});

test("a question of one's own is asked of the same model, thinking as it did, without chance", () => {
  const who = { model: "m", thinking: { type: "disabled" }, chat_template_kwargs: { enable_thinking: false } };
  const question = { ...who, messages: [{ role: "user", content: "1+1?" }], temperature: 0, max_tokens: 5 };
  const body = { ...who, messages, temperature: 1, seed: 1, tools: [], user: "u", prompt: "Why?" };
  expect(continueChat.askQuestion(body, "1+1?", 5)).toEqual(question);
  expect(continueMessages.askQuestion(body, "1+1?", 5)).toEqual(question);
  expect(continueCompletions.askQuestion(body, "1+1?", 5)).toEqual({ ...who, prompt: "1+1?\n\n", temperature: 0, max_tokens: 5 });
});

test("how an answer is chosen, and how long it may be", () => {
  const chosen = (dialect: Continuing, body: object) => Object.values(dialect.isDeterministic(body));
  for (const dialect of [continueChat, continueCompletions]) {
    expect([
      chosen(dialect, { temperature: 0 }),
      chosen(dialect, { top_k: 1 }),
      chosen(dialect, { temperature: 0.1, seed: 0 }),
    ]).toEqual([
      [true, false],
      [true, false],
      [false, true],
    ]);
    const limits = [
      {},
      { max_tokens: 0 },
      { max_tokens: 7, max_completion_tokens: 5, n_predict: -1 },
      { n_predict: 3 },
      { max_tokens: "9" },
    ];
    expect(limits.map((body) => dialect.maxTokens(body, 17))).toEqual([undefined, undefined, 5, 3, 9]);
  }
  expect([
    chosen(continueMessages, { temperature: 0 }),
    chosen(continueMessages, { top_k: 1 }),
    chosen(continueMessages, { seed: 1 }),
  ]).toEqual([
    [true, false],
    [true, false],
    [false, false],
  ]);
  // Where a request sets no limit, completions may have a usual one, until more was made.
  expect([1, 16, 17].map((made) => continueCompletions.maxTokens({}, made))).toEqual([0, 0, undefined]);
  expect([8, "8", " ", 0].map((max_tokens) => continueMessages.maxTokens({ max_tokens }, 1))).toEqual([
    8,
    8,
    undefined,
    undefined,
  ]);
  expect(continueResponses.isDeterministic({ temperature: 0 })).toEqual({ greedy: false, seeded: false });
  expect(
    continueMessages.refusesTrailingSpace && !continueChat.refusesTrailingSpace && !continueCompletions.refusesTrailingSpace,
  ).toBe(true);
});

describe("responses in the background", () => {
  test("are asked for where the client does not mind, and has not asked itself", () => {
    const ask = (body: object): unknown => continueResponses.askInBackground?.(body);
    expect(ask({ input: "Why?", stream: true })).toEqual({ input: "Why?", stream: true, background: true, store: true });
    expect(ask({ background: false, store: true })).toEqual({ background: true, store: true });
    expect([ask({ background: true }), ask({ store: false })]).toEqual([undefined, undefined]);
  });

  test("are written down by number", () => {
    const record = continueResponses.record();
    record.add(event({ type: "response.created", response: { id: "r", model: "m" }, sequence_number: 0 }));
    record.add(event({ type: "response.output_text.delta", delta: "Hi", sequence_number: 4 }));
    record.add(event({ type: "response.refusal.delta", delta: "no" }));
    record.add(event({ type: "response.output_text.delta", delta: 7, sequence_number: -1 }));
    expect(record).toMatchObject({ text: "Hi", head: { id: "r" }, sequence: 4, ends: [2], events: 4 });
    expect([...record.obstacles]).toEqual([]);
    record.add(event({ type: "response.reasoning_text.delta", delta: "Hm" }));
    expect([...record.obstacles]).toEqual(["reasoning"]);
    const other = continueResponses.record();
    other.add(event({ type: "response.reasoning_summary_text.delta", delta: "Hm" }));
    expect([...other.obstacles]).toEqual(["reasoning"]);
    expect(continueResponses.numberOf?.(event({ sequence_number: 5 }))).toBe(5);
    expect(continueResponses.numberOf?.({ event: undefined, data: "[DONE]" })).toBeUndefined();
  });
});

const chunk = (delta: object, more: object = {}, top: object = {}): StreamEvent =>
  event({ id: "c1", created: 1, model: "m", ...top, choices: [{ index: 0, delta, finish_reason: null, ...more }] });
const text = (words: string, more: object = {}): StreamEvent =>
  event({ id: "c1", model: "m", choices: [{ index: 0, text: words, finish_reason: null, ...more }] });
const block = (index: number, content_block: object): StreamEvent => event({ type: "content_block_start", index, content_block });
const delta = (index: number, fields: object): StreamEvent => event({ type: "content_block_delta", index, delta: fields });

describe("what of an answer cannot be gone on with", () => {
  test.each<[Continuing, StreamEvent, rules: string[], text: string]>([
    [continueChat, chunk({ role: "assistant", content: "Hi", tool_calls: [], refusal: null }), [], "Hi"],
    [continueChat, event({ choices: [{ message: { content: "Hi" } }] }), ["other-content"], ""],
    [continueChat, event({ choices: [{ delta: "Hi" }] }), [], ""],
    [continueChat, chunk({ content: [{ type: "text" }] }), ["other-content"], ""],
    [continueChat, chunk({ tool_calls: [{}] }), ["tools"], ""],
    [continueChat, chunk({ function_call: { name: "f" } }), ["tools"], ""],
    ...["reasoning_content", "reasoning", "thinking"].map(
      (key) => [continueChat, chunk({ [key]: "Hm" }), ["reasoning"], ""] as [Continuing, StreamEvent, string[], string],
    ),
    [continueChat, chunk({ reasoning_details: [{}] }), ["reasoning"], ""],
    [continueChat, chunk({ thinking_blocks: [{}] }), ["reasoning"], ""],
    [continueChat, chunk({ audio: { id: "a" } }), ["audio"], ""],
    [continueChat, chunk({ refusal: "No." }), ["other-content"], ""],
    [continueChat, chunk({ refusal: "No.", audio: { id: "a" } }), ["other-content"], ""],
    [continueChat, chunk({ content: "Hi" }, { logprobs: { content: [1] } }), ["logprobs"], "Hi"],
    [continueChat, chunk({ content: "Hi" }, { index: 1 }), ["choices"], "Hi"],
    [continueChat, chunk({}, { finish_reason: "stop" }), ["finished"], ""],
    [continueCompletions, text("Hi", { stop_reason: "x", matched_stop: 1 }), [], "Hi"],
    [continueCompletions, text("Hi", { token_ids: [1] }), ["other-content"], "Hi"],
    [continueCompletions, text("Hi", { refusal: null, content_filter_results: {} }), [], "Hi"],
    [continueCompletions, text("Hi", { reasoning: "Hm" }), ["other-content"], "Hi"],
    [continueMessages, block(0, { type: "text", text: "Hi" }), [], "Hi"],
    [continueMessages, block(0, { type: "text", text: "", citations: [] }), [], ""],
    [continueMessages, block(0, { type: "text", citations: [{}] }), ["other-content"], ""],
    [continueMessages, block(0, { type: "thinking", text: "Hm" }), ["reasoning"], ""],
    [continueMessages, block(0, { type: "redacted_thinking" }), ["reasoning"], ""],
    [continueMessages, block(0, { type: "server_tool_use" }), ["tools"], ""],
    [continueMessages, block(0, { type: "compaction" }), ["other-content"], ""],
    [continueMessages, delta(0, { type: "text_delta", text: "Hi" }), [], "Hi"],
    [continueMessages, delta(0, { text: "Hi" }), [], "Hi"],
    [continueMessages, delta(0, { type: "thinking_delta", thinking: "Hm" }), ["reasoning"], ""],
    [continueMessages, delta(0, { type: "signature_delta", signature: "s" }), ["reasoning"], ""],
    [continueMessages, delta(0, { type: "input_json_delta", partial_json: "{" }), ["tools"], ""],
    [continueMessages, delta(0, { type: "citations_delta", citation: {} }), ["other-content"], ""],
    [continueMessages, event({ type: "content_block_delta", index: 0 }), [], ""],
    [continueMessages, event({ type: "content_block_stop", index: 0 }), ["blocks"], ""],
    [continueMessages, event({ type: "message_delta", delta: { stop_reason: "end_turn" } }), ["finished"], ""],
    [continueMessages, event({ type: "message_delta", delta: { stop_reason: null } }), [], ""],
    [continueMessages, event({ delta: { type: "text_delta", text: "Hi" } }, "content_block_delta"), [], "Hi"],
    [continueMessages, event({ type: "ping" }), [], ""],
  ])("%#", (dialect, one, rules, words) => {
    const record = dialect.record();
    record.add(one);
    expect([[...record.obstacles], record.text, record.ends]).toEqual([rules, words, words === "" ? [] : [words.length]]);
  });

  test("what names it is kept from the first event that does, and its tokens with each", () => {
    const record = continueChat.record();
    record.add(event({ id: "azure", model: "", choices: [], prompt_filter_results: [] }));
    record.add(chunk({ content: "A" }, {}, { system_fingerprint: "f", usage: { prompt_tokens: 3, completion_tokens: 1 } }));
    record.add(chunk({ content: " b" }, {}, { id: "c2", usage: { completion_tokens: 2.5 } }));
    expect(record).toMatchObject({
      head: { id: "c1", created: 1, model: "m", system_fingerprint: "f" },
      text: "A b",
      ends: [1, 3],
      tokens: [1, undefined],
      promptTokens: 3,
      events: 3,
    });
    const message = continueMessages.record();
    const usage = { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100 };
    message.add(event({ type: "message_start", message: { id: "m1", model: "m", usage } }));
    message.add(block(2, { type: "text", text: "" }));
    expect(message).toMatchObject({ head: { id: "m1", model: "m" }, promptTokens: 123, block: 2 });
    for (const [counted, tokens] of [
      [{ input_tokens: 3 }, 3],
      [{ output_tokens: 1, cache_read_input_tokens: 5 }, undefined],
      [undefined, undefined],
    ] as const) {
      const other = continueMessages.record();
      other.add(event({ type: "message_start", message: { usage: counted } }));
      expect(other.promptTokens).toBe(tokens);
    }
  });

  test("more than any upstream would take as a beginning is not kept", () => {
    const record = continueChat.record();
    const half = "x".repeat(2 * 1024 ** 2);
    for (const words of [half, half]) record.add(chunk({ content: words }));
    expect([record.text.length, record.ends.length, record.obstacles.size]).toEqual([2 * half.length, 2, 0]);
    for (const words of ["!", "more"]) record.add(chunk({ content: words }));
    expect([record.text, record.ends, record.tokens, [...record.obstacles]]).toEqual(["", [], [], ["too-long"]]);
  });
});

describe("another leg", () => {
  const given = (dialect: Continuing, ...events: StreamEvent[]) => {
    const record = dialect.record();
    for (const one of events) record.add(one);
    return record;
  };
  const parsed = (one: StreamEvent | undefined): unknown => one && { ...JSON.parse(one.data), characters: one.characters };

  test("of a chat is told as the first: its names, its count, no second role", () => {
    const first = given(continueChat, chunk({ content: "A" }, {}, { usage: { prompt_tokens: 10, completion_tokens: 1 } }));
    const leg = continueChat.openLeg(first, { tokensBefore: 4, isWhole: false });
    const names = { id: "c1", created: 1, model: "m" };
    const other = { id: "c9", created: 9, model: "m2" };
    expect(parsed(leg.adapt(chunk({ role: "assistant", content: "tail more" }, {}, other), " more"))).toEqual({
      ...names,
      choices: [{ index: 0, delta: { content: " more" }, finish_reason: null }],
      characters: 5,
    });
    expect(leg.adapt(chunk({ role: "assistant", content: "" }, {}, other), "")).toBeUndefined();
    expect(parsed(leg.adapt(chunk({ role: "assistant" }, { content_filter_results: { hate: {} } }, other), ""))).toMatchObject({
      ...names,
      choices: [{ delta: {}, content_filter_results: { hate: {} } }],
    });
    expect(
      parsed(
        leg.adapt(
          event({ ...other, usage: null, choices: [{ delta: { role: "a", content: "x" }, message: {}, finish_reason: "stop" }] }),
          "",
        ),
      ),
    ).toEqual({
      ...names,
      usage: null,
      choices: [{ delta: { content: "" }, finish_reason: "stop" }],
      characters: 0,
    });
    const usage = { prompt_tokens: 14, completion_tokens: 6, total_tokens: 20, more: 1 };
    expect(parsed(leg.adapt(event({ ...other, choices: [], usage }), ""))).toEqual({
      ...names,
      choices: [],
      usage: { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 },
      characters: 0,
    });
    expect(leg.adapt(event({ ...other, choices: [], usage: {} }), "")).toBeUndefined();
    const whole = continueChat.openLeg(first, { tokensBefore: 4, isWhole: true });
    expect(parsed(whole.adapt(event({ choices: [], usage }), ""))).toMatchObject({ usage });
    for (const [record, tokensBefore] of [
      [first, undefined],
      [given(continueChat, chunk({ content: "A" })), 4],
    ] as const) {
      const uncounted = continueChat.openLeg(record, { tokensBefore, isWhole: false });
      expect(uncounted.adapt(event({ choices: [], usage }), "")).toBeUndefined();
    }
  });

  test("says what it brings, how it ends, and what it is", () => {
    const chat = continueChat.openLeg(given(continueChat), { tokensBefore: undefined, isWhole: false });
    const read = (one: StreamEvent): unknown[] => Object.values(chat.read(one));
    expect(chat.read(chunk({ content: "Hi" }, {}, { usage: { prompt_tokens: 3 } }))).toEqual({
      text: "Hi",
      model: "m",
      promptTokens: 3,
      rule: undefined,
      finished: false,
    });
    expect(read({ event: undefined, data: "x" })).toEqual(["", false, undefined, undefined, undefined]);
    for (const [reason, finished] of [
      ["stop", "whole"],
      ["length", "length"],
      ["MODEL_LENGTH", "length"],
      ["max_tokens", "length"],
      [null, false],
    ])
      expect(chat.read(chunk({}, { finish_reason: reason }))).toMatchObject({ finished, rule: undefined });
    expect(chat.read(chunk({ tool_calls: [{}] }, { finish_reason: "tool_calls" }))).toMatchObject({ rule: "tools" });
    const completion = continueCompletions.openLeg(given(continueCompletions, text("A")), { tokensBefore: 1, isWhole: false });
    expect(parsed(completion.adapt(text("tail more"), " more"))).toMatchObject({ choices: [{ text: " more" }] });
    expect(completion.adapt(text("tail"), "")).toBeUndefined();
    expect(parsed(completion.adapt(event({ choices: [{ index: 0, finish_reason: "stop" }] }), ""))).toMatchObject({
      choices: [{ index: 0, finish_reason: "stop" }],
    });
  });

  test("of a message goes on the open block, and counts the rest from there", () => {
    const start = (input_tokens: number) =>
      event({ type: "message_start", message: { id: "m1", model: "m", usage: { input_tokens } } });
    const first = given(continueMessages, start(10), block(1, { type: "text", text: "A" }));
    const leg = continueMessages.openLeg(first, { tokensBefore: undefined, isWhole: false });
    const read = (one: StreamEvent) => leg.read(one);
    expect(read(start(14))).toEqual({ text: "", model: "m", promptTokens: 14, rule: undefined, finished: false });
    expect(leg.adapt(start(14), "")).toBeUndefined();
    expect(read(block(0, { type: "text", text: "tail more" }))).toMatchObject({ text: "tail more", rule: undefined });
    expect(leg.adapt(block(0, { type: "text", text: "tail" }), "")).toBeUndefined();
    expect(parsed(leg.adapt(block(0, { type: "text", text: "tail more" }), " more"))).toEqual({
      type: "content_block_delta",
      index: 1,
      delta: { type: "text_delta", text: " more" },
      characters: 5,
    });
    expect(leg.adapt(delta(0, { type: "text_delta", text: "x" }), "")).toBeUndefined();
    expect(parsed(leg.adapt(delta(0, { type: "text_delta", text: "x y" }), " y"))).toEqual({
      type: "content_block_delta",
      index: 1,
      delta: { type: "text_delta", text: " y" },
      characters: 2,
    });
    expect(parsed(leg.adapt(delta(0, { type: "citations_delta", citation: {} }), ""))).toMatchObject({ index: 1, characters: 0 });
    expect(read(event({ type: "content_block_stop", index: 0 }))).toMatchObject({ finished: "perhaps", rule: undefined });
    expect(parsed(leg.adapt(event({ type: "content_block_stop", index: 0 }), ""))).toMatchObject({ index: 1 });
    expect(parsed(leg.adapt(block(1, { type: "tool_use" }), ""))).toMatchObject({ type: "content_block_start", index: 2 });
    expect(read(block(1, { type: "tool_use" }))).toMatchObject({ rule: "tools" });
    for (const [stop_reason, finished] of [
      ["end_turn", "whole"],
      ["max_tokens", "length"],
      [null, false],
    ])
      expect(read(event({ type: "message_delta", delta: { stop_reason } }))).toMatchObject({ finished });
    const usage = { output_tokens: 5, input_tokens: 14, cache_read_input_tokens: 1, cache_creation_input_tokens: 2, more: 1 };
    const ended = event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage });
    expect(parsed(leg.adapt(ended, ""))).toMatchObject({ usage: { output_tokens: 9, more: 1 } });
    expect(parsed(leg.adapt(ended, ""))).not.toMatchObject({ usage: { input_tokens: 14 } });
    expect(parsed(leg.adapt(event({ type: "message_delta", delta: {} }), ""))).not.toHaveProperty("usage");
    expect(parsed(leg.adapt(event({ type: "ping" }), ""))).toEqual({ type: "ping", characters: 0 });
    const whole = continueMessages.openLeg(first, { tokensBefore: undefined, isWhole: true });
    whole.read(start(14));
    expect(parsed(whole.adapt(ended, ""))).toMatchObject({ usage });
    const unread = continueMessages.openLeg(first, { tokensBefore: undefined, isWhole: false });
    expect(parsed(unread.adapt(ended, ""))).toMatchObject({ usage });
  });
});
