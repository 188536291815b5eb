/** Langchain-Chatchat as the upstream: several choices, tool calls, an agent's last word. */
import { describe, expect } from "vitest";
import { codeIn, type Seen, send } from "./support/client.ts";
import { line } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

function ask(perennial: TestPerennial, path: string, fields: object = {}): Promise<Seen> {
  return send(perennial.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [], query: "q", ...fields }),
  });
}

const part = (delta: object, index = 0, finish_reason: string | null = null): string =>
  line({ id: "c", status: null, choices: [{ index, delta, finish_reason }] });
const agent = (status: number, content: string): string =>
  line({ id: "c", status, choices: [{ delta: { content, tool_calls: [] }, role: "assistant" }] });
const CHATCHAT = { upstream: { profile: "chatchat" } };

describe("a model's own chunks, relayed by 0.3", () => {
  const path = "/v1/chat/completions";

  test("are whole when every choice has finished, not when one has", async ({ serve }) => {
    const { perennial, upstream } = await serve(
      [[part({ content: "Yes" }), part({ content: "No, be" }, 1), part({}, 0, "stop")]],
      CHATCHAT,
    );
    expect(codeIn(await ask(perennial, path, { n: 2 }))).toBe("stream_truncated");
    await perennial.close();
    await upstream.close();
    const whole = [part({ content: "Yes" }), part({ content: "No" }, 1), part({}, 0, "stop"), part({}, 1, "stop")];
    const second = await serve([whole], CHATCHAT);
    expect((await ask(second.perennial, path, { n: 2 })).body).toBe(whole.join(""));
  });

  test("are a truncation while a choice that was asked for has not begun", async ({ serve }) => {
    const { perennial } = await serve([[part({ content: "Yes" }), part({}, 0, "stop")]], CHATCHAT);
    expect(codeIn(await ask(perennial, path, { n: 2 }))).toBe("stream_truncated");
  });

  test("come with whole tool calls only, and a cut in one is never noticed", async ({ serve }) => {
    const begun = part({
      tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "rm", arguments: '{"path":"/tm' } }],
    });
    const rest = part({ tool_calls: [{ index: 0, function: { arguments: 'p"}' } }] });
    const whole = [begun, rest, part({}, 0, "tool_calls")];
    const { perennial, upstream } = await serve([[begun], whole], CHATCHAT);
    expect((await ask(perennial, path)).body).toBe(whole.join(""));
    expect(upstream.requests).toHaveLength(2);
  });

  test("an agent's calls are shown as they come: the server has made them", async ({ serve }) => {
    const events = [
      line({ id: "c", status: 6, choices: [{ delta: { tool_calls: [{ index: 0, function: { name: "search" } }] } }] }),
      agent(3, "Found."),
      agent(5, ""),
    ];
    const { perennial } = await serve([events], CHATCHAT);
    // One choice is all that an agent has, however many were asked for.
    expect((await ask(perennial, path, { n: 2 })).body).toBe(events.join(""));
  });
});

describe("an agent of 0.2", () => {
  const path = "/chat/agent_chat";
  const words = [line({ answer: "Thought: " }), line({ tools: ["weather"] }), line({ answer: "It is" })];

  test("has answered when its last word came", async ({ serve }) => {
    const whole = [...words, line({ final_answer: "It is sunny." })];
    const { perennial } = await serve([whole], CHATCHAT);
    expect((await ask(perennial, path)).body).toBe(whole.join(""));
  });

  test("has answered when its last word is empty", async ({ serve }) => {
    const whole = [...words, line({ final_answer: "" })];
    const { perennial } = await serve([whole], CHATCHAT);
    expect((await ask(perennial, path)).body).toBe(whole.join(""));
  });

  test("has answered when all came in one event, not streamed", async ({ serve }) => {
    const whole = [line({ answer: "Thought: …", final_answer: "It is sunny." })];
    const { perennial } = await serve([whole], CHATCHAT);
    expect((await ask(perennial, path, { stream: false })).body).toBe(whole.join(""));
  });

  test.for([
    ["its text", words],
    ["a tool that failed", [line({ answer: "Thought" }), line({ tools: ["调用失败"] })]],
    ["an answer without its last word", [line({ answer: "Thought", final_answer: "" })]],
  ])("has not answered when it ends after %s", async ([_what, events], { serve }) => {
    const { perennial } = await serve([events], CHATCHAT);
    expect(codeIn(await ask(perennial, path))).toBe("stream_truncated");
  });
});

test.for(["{}", '{"detail":"x"}'])("%s is no answer of an OpenAI-like route", async (body, { serve }) => {
  const { perennial } = await serve([jsonReply(body)], CHATCHAT);
  expect((await ask(perennial, "/v1/chat/completions", { stream: false })).status).toBe(502);
});
