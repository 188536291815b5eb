import { describe, expect, test } from "vitest";
import { meaningOf, type ReplyContext } from "./reply-scope.ts";

interface Setup extends Partial<ReplyContext> {
  readonly headers?: Record<string, string>;
}

/** The scope, and whether nothing was done for the request. */
function inWords(status: number, body: unknown, { headers = {}, ...context }: Setup = {}): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const { scope, isOutage, isLoading } = meaningOf(
    { status, headers, body: Buffer.from(text) },
    { hasOwnKey: false, namesWait: false, tookMs: 10, ...context },
  );
  return [scope, isOutage && "outage", isLoading && "loading"].filter(Boolean).join(", ");
}

const error = (fields: object): object => ({ error: { message: "no", type: "t", code: null, ...fields } });

describe("by its status", () => {
  test.each<[number, Setup, string]>([
    [400, {}, "never"],
    [401, {}, "never"],
    [401, { hasOwnKey: true }, "elsewhere"],
    [402, {}, "elsewhere"],
    [403, {}, "elsewhere"],
    [404, {}, "elsewhere"],
    [408, {}, "again, outage"],
    [409, {}, "again"],
    [413, {}, "never"],
    [422, {}, "never"],
    [424, {}, "never"],
    [425, {}, "again, outage"],
    [429, {}, "again"],
    [500, {}, "again"],
    [501, {}, "never"],
    [502, {}, "again, outage"],
    [503, {}, "again, outage"],
    [503, { tookMs: 2_001 }, "again"],
    [503, { headers: { "x-should-retry": "false" } }, "never"],
    [504, {}, "again"],
    [524, {}, "again"],
    [529, {}, "again, outage"],
    [400, { headers: { "x-should-retry": "true" } }, "again"],
  ])("%i %o: %s", (status, setup, expected) => {
    expect(inWords(status, error({}), setup)).toBe(expected);
  });
});

describe("by what its body says", () => {
  test.each<[string, number, unknown, string]>([
    ["OpenAI: the account is empty", 429, error({ type: "insufficient_quota", code: "insufficient_quota" }), "elsewhere"],
    ["OpenAI: too many requests", 429, error({ code: "rate_limit_exceeded" }), "again"],
    ["OpenAI: its sloppy type on a 5xx", 503, error({ type: "invalid_request_error" }), "again, outage"],
    ["Anthropic: no credit", 400, error({ message: "Your credit balance is too low to access the API" }), "elsewhere"],
    ["Gemini: the day's quota", 429, error({ message: "You exceeded your current quota" }), "elsewhere"],
    ["new-api: the user's quota", 403, error({ code: "insufficient_user_quota", message: "用户额度不足" }), "elsewhere"],
    ["DeepSeek: no balance", 402, error({ message: "Insufficient Balance" }), "elsewhere"],
    ["too long, as a 500", 500, error({ message: "This model's maximum context length is 4096 tokens" }), "never"],
    ["too long, by code", 503, error({ code: "context_length_exceeded" }), "never"],
    ["too long, in llama.cpp's words", 500, error({ message: "the request exceeds the available context size" }), "never"],
    ["TGI: validation", 500, { error: "Input validation error: too long", error_type: "validation" }, "never"],
    ["FastChat: its worker is gone", 400, { object: "error", message: "NETWORK ERROR", code: 50_001 }, "again"],
    ["FastChat: too many", 400, { object: "error", message: "rate", code: 42_901 }, "again"],
    ["FastChat: a wrong value", 400, { object: "error", message: "wrong", code: 40_302 }, "never"],
    ["llama.cpp: loading", 503, error({ message: "Loading model" }), "again, outage, loading"],
    ["Hugging Face: loading", 503, { error: "Model m is currently loading", estimated_time: 20 }, "again, outage, loading"],
    ["loading, as a 500", 500, error({ message: "the model is still being loaded" }), "again, outage, loading"],
    ["loading, as a 400", 400, { error: "Model is loading" }, "again, outage, loading"],
    ["loading, in Chinese", 500, { detail: "模型正在加载中" }, "again, outage, loading"],
    ["a model that could not be loaded", 500, error({ message: "error loading model: out of memory" }), "again"],
    ["a page", 502, "<html>502 Bad Gateway</html>", "again, outage"],
    ["nothing", 404, "", "elsewhere"],
  ])("%s", (_what, status, body, expected) => {
    expect(inWords(status, body)).toBe(expected);
  });

  test("a quota that names a wait is one of the minute", () => {
    expect(inWords(429, error({ message: "You exceeded your current quota" }), { namesWait: true })).toBe("again");
  });

  test("loading that took its time may have been work", () => {
    expect(inWords(503, error({ message: "Loading model" }), { tookMs: 5_000 })).toBe("again, loading");
  });
});
