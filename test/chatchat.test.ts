/** Langchain-Chatchat as the upstream: several choices, tool calls, an agent's last word. */
import { afterEach, describe, expect, test } from "vitest";
import { type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { jsonReply, type RawUpstream, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

/** Answers the requests in order, the last reply again and again. */
async function serve(...replies: (readonly string[] | string)[]): Promise<void> {
  upstream = await startRawUpstream((socket, { number }) => {
    const reply = replies[Math.min(number, replies.length) - 1] ?? [];
    if (typeof reply === "string") socket.write(reply);
    else sendFramed(socket, "chunked", reply);
  });
  perennial = await startPerennial(upstream.baseUrl.replace("/v1", ""), { upstream: { profile: "chatchat" } });
}

function ask(path: string, fields: object = {}): Promise<Seen> {
  return send(perennial.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [], query: "q", ...fields }),
  });
}

const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;
const part = (delta: object, index = 0, finish_reason: string | null = null): string =>
  line({ id: "c", status: null, choices: [{ index, delta, finish_reason }] });
const agent = (status: number, content: string): string =>
  line({ id: "c", status, choices: [{ delta: { content, tool_calls: [] }, role: "assistant" }] });
const codeOf = ({ body }: Seen): string | undefined => /"code":"(\w+)"/.exec(body)?.[1];

describe("a model's own chunks, relayed by 0.3", () => {
  const path = "/v1/chat/completions";

  test("are whole when every choice has finished, not when one has", async () => {
    await serve([part({ content: "Yes" }), part({ content: "No, be" }, 1), part({}, 0, "stop")]);
    expect(codeOf(await ask(path, { n: 2 }))).toBe("stream_truncated");
    await perennial.close();
    await upstream.close();
    const whole = [part({ content: "Yes" }), part({ content: "No" }, 1), part({}, 0, "stop"), part({}, 1, "stop")];
    await serve(whole);
    expect((await ask(path, { n: 2 })).body).toBe(whole.join(""));
  });

  test("are a truncation while a choice that was asked for has not begun", async () => {
    await serve([part({ content: "Yes" }), part({}, 0, "stop")]);
    expect(codeOf(await ask(path, { n: 2 }))).toBe("stream_truncated");
  });

  test("come with whole tool calls only, and a cut in one is never noticed", async () => {
    const begun = part({
      tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "rm", arguments: '{"path":"/tm' } }],
    });
    const rest = part({ tool_calls: [{ index: 0, function: { arguments: 'p"}' } }] });
    const whole = [begun, rest, part({}, 0, "tool_calls")];
    await serve([begun], whole);
    expect((await ask(path)).body).toBe(whole.join(""));
    expect(upstream.requests).toHaveLength(2);
  });

  test("an agent's calls are shown as they come: the server has made them", async () => {
    const events = [
      line({ id: "c", status: 6, choices: [{ delta: { tool_calls: [{ index: 0, function: { name: "search" } }] } }] }),
      agent(3, "Found."),
      agent(5, ""),
    ];
    await serve(events);
    // One choice is all that an agent has, however many were asked for.
    expect((await ask(path, { n: 2 })).body).toBe(events.join(""));
  });
});

describe("an agent of 0.2", () => {
  const path = "/chat/agent_chat";
  const words = [line({ answer: "Thought: " }), line({ tools: ["weather"] }), line({ answer: "It is" })];

  test("has answered when its last word came", async () => {
    const whole = [...words, line({ final_answer: "It is sunny." })];
    await serve(whole);
    expect((await ask(path)).body).toBe(whole.join(""));
  });

  test("has answered when its last word is empty", async () => {
    const whole = [...words, line({ final_answer: "" })];
    await serve(whole);
    expect((await ask(path)).body).toBe(whole.join(""));
  });

  test("has answered when all came in one event, not streamed", async () => {
    const whole = [line({ answer: "Thought: …", final_answer: "It is sunny." })];
    await serve(whole);
    expect((await ask(path, { stream: false })).body).toBe(whole.join(""));
  });

  test.each([
    ["its text", words],
    ["a tool that failed", [line({ answer: "Thought" }), line({ tools: ["调用失败"] })]],
    ["an answer without its last word", [line({ answer: "Thought", final_answer: "" })]],
  ])("has not answered when it ends after %s", async (_what, events) => {
    await serve(events);
    expect(codeOf(await ask(path))).toBe("stream_truncated");
  });
});

test.each(["{}", '{"detail":"x"}'])("%s is no answer of an OpenAI-like route", async (body) => {
  await serve(jsonReply(body));
  expect((await ask("/v1/chat/completions", { stream: false })).status).toBe(502);
});
