/** The sandbox's other endpoints: completions, responses and messages, as their own clients and bare TCP see them. */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ANSWER, TOKENS } from "./answer.ts";
import { type ChaosServer, createChaosServer } from "./chaos-server.ts";
import { dataOf, type RawReply, rawRequest } from "./fixtures/raw-client.ts";
import { FAULTS } from "./registry.ts";

let server: ChaosServer;
let port: number;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  server = createChaosServer({ tokenDelayMs: 0, stallMs: 40, commentMs: 8 });
  const { port: chosen, url } = await server.listen();
  port = chosen;
  openai = new OpenAI({ baseURL: url, apiKey: "any", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: url.replace(/\/v1$/, ""), apiKey: "any", maxRetries: 0 });
});
afterAll(() => server.close());

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
type Json = any;

interface Endpoint {
  readonly path: string;
  readonly request: object;
  readonly textOf: (json: Json) => string;
  readonly answerOf: (json: Json) => string;
  /** The data of the last event of a whole stream. */
  readonly last: RegExp;
  /** The data of the last event of `error-event`. */
  readonly error: RegExp;
  /** How the whole stream of `error-event` ends, its framing of events included. */
  readonly errorEnd: RegExp;
  /** At least so many of its events are numbered. */
  readonly numbered: number;
  /** The body of a 503. */
  readonly refusal: object;
}

const openAiRefusal = { error: { type: "server_error", code: "model_overloaded" } };

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  completions: {
    path: "/v1/completions",
    request: { prompt: "Hello" },
    textOf: (json) => json.choices?.[0]?.text ?? "",
    answerOf: (json) => json.choices[0].text,
    last: /^\[DONE\]$/,
    error: /^\{"error":\{"message":"The server had an error/,
    errorEnd: /\n\ndata: \{"error"[^\n]+\n\n$/,
    numbered: 0,
    refusal: openAiRefusal,
  },
  responses: {
    path: "/v1/responses",
    request: { input: "Hello" },
    textOf: (json) => (json.type === "response.output_text.delta" ? json.delta : ""),
    answerOf: (json) => json.output[0].content[0].text,
    last: /^\{"type":"response.completed"/,
    error: /^\{"type":"error","sequence_number":6,"code":"server_error","message":"The server had/,
    errorEnd:
      /\n\nevent: response.failed\ndata: \{"type":"response.failed","sequence_number":5,[^\n]*"status":"failed"[^\n]*\n\nevent: error\n[^\n]*\n\n$/,
    numbered: 7,
    refusal: openAiRefusal,
  },
  messages: {
    path: "/v1/messages",
    request: { max_tokens: 100, messages: [{ role: "user", content: "Hello" }] },
    textOf: (json) => json.delta?.text ?? "",
    answerOf: (json) => json.content[0].text,
    last: /^\{"type":"message_stop"\}$/,
    error: /^\{"type":"error","error":\{"type":"overloaded_error","message":"Overloaded"\}\}$/,
    errorEnd: /\n\nevent: error\ndata: [^\n]+\n\n$/,
    numbered: 0,
    refusal: { type: "error", error: { type: "overloaded_error" } },
  },
};

describe.each(Object.entries(ENDPOINTS))("%s", (name, { path, request, ...endpoint }) => {
  const ask = (model: string, more: object = {}) =>
    rawRequest(port, { path, body: { ...request, model, stream: true, ...more } });
  const textOf = (reply: RawReply) =>
    dataOf(reply.body)
      .map((data) => (data.startsWith("{") ? endpoint.textOf(JSON.parse(data)) : ""))
      .join("");
  const isWhole = (reply: RawReply) => {
    expect(textOf(reply)).toBe(ANSWER);
    expect(dataOf(reply.body).at(-1)).toMatch(endpoint.last);
  };

  it("streams the answer, and says it at once", async () => {
    isWhole(await ask("m"));
    const whole = await ask("m", { stream: false });
    expect(whole.headers["content-type"]).toBe("application/json");
    expect(endpoint.answerOf(JSON.parse(whole.body))).toBe(ANSWER);
  });

  it.each(["truncate:6", "eof:6", "reset:6", "truncate-event:6", "stall:6"])("breaks off for %s", async (spec) => {
    const reply = await ask(`chaos/${spec}`);
    expect(reply.whole).toBe(spec.startsWith("eof"));
    expect(reply.end).toBe(spec.startsWith("reset") ? "reset" : "fin");
    expect(reply.body.split("\n\n").filter((text) => text.includes("data: "))).toHaveLength(
      spec.startsWith("truncate-event") ? 7 : 6,
    );
    expect(reply.body).not.toMatch(/\[DONE\]|message_stop|response\.completed/);
    const half = await ask(`chaos/${spec}`, { stream: false });
    expect(() => JSON.parse(half.body)).toThrow();
  });

  it.each(["cut:333", "cut-reset:333"])("sends exactly so many bytes for %s", async (spec) => {
    expect((await ask(`chaos/${spec}`)).bodyBytes).toHaveLength(333);
  });

  it("sends nothing, or nothing but headers", async () => {
    expect((await ask("chaos/close")).bytes).toHaveLength(0);
    for (const fault of ["empty", "stall-first"])
      expect(await ask(`chaos/${fault}`)).toMatchObject({ status: 200, body: "", whole: fault === "empty" });
  });

  it("refuses in its own words", async () => {
    for (const stream of [true, false]) {
      const reply = await ask("chaos/503", { stream });
      expect(reply.status).toBe(503);
      expect(JSON.parse(reply.body)).toMatchObject(endpoint.refusal);
    }
    expect((await ask("chaos/500")).status).toBe(500);
    expect(await ask("chaos/429:3")).toMatchObject({ status: 429, headers: { "retry-after": "3" } });
  });

  it("says in the stream that it failed, as its API does", async () => {
    const reply = await ask("chaos/error-event:5");
    expect(dataOf(reply.body).at(-1)).toMatch(endpoint.error);
    expect(reply.body).toMatch(endpoint.errorEnd);
    expect((await ask("chaos/error-event:0")).status).toBe(200);
  });

  it("finishes without a terminator for no-done", async () => {
    const whole = dataOf((await ask("m")).body).length;
    const reply = await ask("chaos/no-done");
    expect(textOf(reply)).toBe(ANSWER);
    expect(dataOf(reply.body)).toHaveLength(whole - 1);
    expect(dataOf(reply.body).at(-1)).not.toMatch(endpoint.last);
  });

  it("answers with JSON, null, a web page, or nothing at all", async () => {
    expect(endpoint.answerOf(JSON.parse((await ask("chaos/json")).body))).toBe(ANSWER);
    expect((await ask("chaos/null")).body).toBe("null");
    expect((await ask("chaos/html")).body).toContain("<html>");
    const empty = await ask("chaos/whole-empty");
    expect(textOf(empty)).toBe("");
    expect(dataOf(empty.body).at(-1)).toMatch(endpoint.last);
  });

  it.each(FAULTS.filter(({ dialects }) => dialects?.includes(name as never) === false))(
    "is whole for $name, which it does not know",
    async (fault) => {
      isWhole(await ask(`chaos/${fault.name}`));
      const reply = await ask(`chaos/${fault.name}`, { stream: false });
      expect(endpoint.answerOf(JSON.parse(reply.body))).toBe(ANSWER);
    },
  );

  it.each(FAULTS)("plays $name to its end, streamed or not", async (fault) => {
    for (const stream of [true, false]) {
      const reply = await ask(fault.name === "slow" ? "chaos/slow:1" : `chaos/${fault.name}`, { stream });
      expect(reply.end).not.toBe("left");
    }
  });

  it("numbers its events without a gap", async () => {
    for (const model of ["m", "chaos/tools", "chaos/whole-empty", "chaos/error-event:5", "chaos/error-event:9999"]) {
      const numbers = dataOf((await ask(model)).body).flatMap((data) => /"sequence_number":(\d+)/.exec(data)?.[1] ?? []);
      expect(numbers).toEqual(numbers.map((_, n) => String(n)));
      expect(numbers.length).toBeGreaterThanOrEqual(endpoint.numbered);
    }
  });
});

describe("the official clients", () => {
  const messages = [{ role: "user" as const, content: "Hello" }];

  it("read completions, several at once", async () => {
    const whole = await openai.completions.create({ model: "m", prompt: ["a", "b"], n: 2 });
    expect(whole.choices.map(({ text }) => text)).toEqual([ANSWER, ANSWER, ANSWER, ANSWER]);
    const texts = ["", ""];
    const usages: (number | undefined)[] = [];
    const options = { stream: true, stream_options: { include_usage: true } } as const;
    for await (const { choices, usage } of await openai.completions.create({ model: "m", prompt: "a", n: 2, ...options })) {
      for (const { index, text } of choices) texts[index] += text;
      if (choices.length === 0) usages.push(usage?.completion_tokens);
    }
    expect(usages).toEqual([TOKENS.length * 2]);
    expect(texts).toEqual([ANSWER, ANSWER]);
  });

  it("read responses, and the call of the first tool they offer", async () => {
    expect((await openai.responses.create({ model: "m", input: "a" })).output_text).toBe(ANSWER);
    const final = await openai.responses.stream({ model: "m", input: "a" }).finalResponse();
    expect(final.output_text).toBe(ANSWER);
    const tools = [{ type: "function" as const, name: "search_library", parameters: {}, strict: false }];
    const called = await openai.responses.stream({ model: "chaos/tools", input: "a", tools }).finalResponse();
    expect(called.output).toMatchObject([{ type: "function_call", name: "search_library" }]);
    const { output } = await openai.responses.create({ model: "chaos/tools", input: "a", tools });
    expect(JSON.parse((output[0] as { arguments: string }).arguments)).toEqual({ city: "细水长流", unit: "celsius" });
  });

  it("read messages, and the use of the first tool they offer", async () => {
    const plain = await anthropic.messages.create({ model: "m", max_tokens: 100, messages });
    expect(plain).toMatchObject({ content: [{ type: "text", text: ANSWER }], stop_reason: "end_turn" });
    const final = await anthropic.messages.stream({ model: "m", max_tokens: 100, messages }).finalMessage();
    expect(final).toMatchObject({ content: [{ text: ANSWER }], stop_reason: "end_turn", usage: { output_tokens: 25 } });
    const tools = [{ name: "search_library", input_schema: { type: "object" as const } }];
    for (const ask of [
      () => anthropic.messages.stream({ model: "chaos/tools", max_tokens: 100, messages, tools }).finalMessage(),
      () => anthropic.messages.create({ model: "chaos/tools", max_tokens: 100, messages, tools }),
    ]) {
      expect(await ask()).toMatchObject({
        content: [{ type: "tool_use", name: "search_library", input: { city: "细水长流", unit: "celsius" } }],
        stop_reason: "tool_use",
      });
    }
  });

  it("are told of errors in the stream", async () => {
    await expect(
      anthropic.messages.stream({ model: "chaos/error-event", max_tokens: 9, messages }).finalMessage(),
    ).rejects.toThrow("overloaded_error");
    const stream = await openai.responses.create({ model: "chaos/error-event", input: "a", stream: true });
    const read = async () => {
      for await (const _event of stream);
    };
    await expect(read()).rejects.toThrow();
  });
});
