/** Langchain-Chatchat as the upstream: several choices, tool calls, an agent's last word. */

import { describe, expect } from "vitest";
import { ask as askAny, codeIn, codeOf, type Seen } from "./support/client.ts";
import { DONE, line } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { jsonReply, SSE_HEAD } from "./support/raw-upstream.ts";
import { atOnce, late } from "./support/replies.ts";
import { test } from "./support/test.ts";

/** As Chatchat's clients ask: the native routes want a query, the others messages. */
const ask = (perennial: TestPerennial, path: string, fields: object = {}, sent?: Parameters<typeof askAny>[3]): Promise<Seen> =>
  askAny(perennial, path, { query: "q", ...fields }, sent);

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

describe("Chatchat", () => {
  const native = "/chat/chat";
  const finishing = "/chat/chat/completions";
  const text = line({ text: "Hi" });
  const part = (delta: object, finish_reason?: string): string => line({ choices: [{ delta, finish_reason }] });
  const whole: [path: string, what: string, events: string[], requests: number][] = [
    [native, "an answer", [line({ answer: "Hi" })], 1],
    [native, "a final answer", [line({ final_answer: "Hi" })], 1],
    [native, "content", [line({ content: "Hi" })], 1],
    [native, "a blank line", [text, "data: \n\n"], 1],
    [native, "its model server's [DONE]", [text, DONE], 1],
    [native, "a code that says that all is well", [line({ code: 200, msg: "ok" }), text], 1],
    [native, "a code without a message", [line({ code: 500, text: "Hi" })], 1],
    [finishing, "an agent that has finished", [part({ content: "Hi" }), line({ status: 5 })], 1],
    [finishing, "a tool's own result", [line({ content: "Hi", tool_output: "Hi", is_ref: false })], 1],
    [finishing, "message for delta", [line({ choices: [{ message: { content: "Hi" }, finish_reason: "stop" }] })], 1],
    [finishing, "a finish and no text at every attempt", [part({ role: "assistant" }, "stop")], 3],
  ];
  const failed: [path: string, what: string, events: string[], code: string, requests: number][] = [
    [native, "documents and no text", [line({ docs: ["Hi"] })], "empty_stream", 3],
    [native, "an event that is not JSON", [text, "data: boom\n\n"], "stream_corrupted", 1],
    [native, "an event named error", [text, "event: error\ndata: boom\n\n"], "upstream_error_event", 1],
    [native, "[ERROR]", [text, "data: [ERROR] boom\n\n"], "upstream_error_event", 1],
    [native, "a line with an error", [text, "error: boom\n\n"], "upstream_error_event", 1],
    [native, "an agent that failed", [text, line({ status: -1, text: "boom" })], "upstream_error_event", 1],
    [native, "a refusal", [line({ code: 404, msg: "boom" })], "upstream_error_event", 1],
    [native, "a refusal with a number of its own", [line({ code: 7, msg: "boom" })], "upstream_error_event", 3],
    [
      finishing,
      "is_ref, which every chunk has, and no finish",
      [part({ content: "Hi" }), line({ is_ref: false })],
      "stream_truncated",
      1,
    ],
    [finishing, "a role and no finish", [part({ role: "assistant" })], "empty_stream", 3],
    [finishing, "a bad finish", [part({ content: "Hi" }), part({}, "error")], "upstream_error_event", 1],
    [finishing, "an empty finish", [part({ content: "Hi" }, "")], "stream_truncated", 1],
    [finishing, "no finish", [part({ content: "Hi" })], "stream_truncated", 1],
  ];

  test.for(whole)("at %s with %s is judged by what came", async ([path, _what, events, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], CHATCHAT);
    // Blank lines and a [DONE] of the model server are no events of Chatchat's.
    expect((await ask(perennial, path)).body).toBe(events.filter((event) => event.includes("{")).join(""));
    expect(upstream.requests).toHaveLength(requests);
  });

  test.for(failed)("at %s with %s is judged by what came", async ([path, _what, events, code, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], CHATCHAT);
    expect([codeIn(await ask(perennial, path)), upstream.requests.length]).toEqual([code, requests]);
  });

  test.for([
    [404, 404],
    [7, 502],
  ])("that refuses with code %i is an HTTP %i", async ([code, status], { serve }) => {
    const { perennial } = await serve([atOnce([line({ code, msg: "boom" })])], CHATCHAT);
    const seen = await ask(perennial, native);
    expect([seen.status, seen.body]).toEqual([status, expect.stringContaining("boom")]);
  });

  test("loses nothing of a last event without its blank line, and is cut when its connection is", async ({ serve }) => {
    const { perennial } = await serve(
      [atOnce([text, text.trimEnd()]), (socket) => socket.end(`${SSE_HEAD}content-length: 999\r\n\r\n${text}`)],
      CHATCHAT,
    );
    expect((await ask(perennial, native)).body).toBe(text + text);
    expect((await ask(perennial, native)).body).toContain("stream_truncated");
  });

  test("is not believed when it says nothing, even at the last attempt", async ({ serve }) => {
    const { perennial } = await serve([atOnce([])], { ...CHATCHAT, retry: { maxAttempts: 1 } });
    expect(codeOf(await ask(perennial, native))).toBe("empty_stream");
  });

  test("sends its web UI one event at a time, whatever `stream` says, and never a comment", async ({ serve }) => {
    const { perennial } = await serve([late(120, atOnce([text, text, text]))], {
      ...CHATCHAT,
      heartbeat: { after: "20ms", every: "20ms" },
    });
    let reads = 0;
    const seen = await ask(perennial, native, { stream: false, model: undefined, model_name: "glm" }, { onRead: () => reads++ });
    expect([seen.body, reads]).toEqual([text + text + text, 3]);
    expect(await perennial.exchangeLog()).toMatchObject({ model: "glm" });
  });

  test.for([
    ["null", "null", "empty_stream"],
    ["a refusal", '{"code":404,"msg":"boom"}', "upstream_error_event"],
    ["unfinished", '{"choices":[{"message":{"content":""}}]}', "stream_truncated"],
    ["without a finish", '{"choices":[{"message":{"content":"Hi"}}]}', undefined],
    ["of another kind", '{"code":200,"msg":"ok","data":[1]}', undefined],
  ])(
    "that is not asked to stream and answers %s is judged as well, and not asked via a stream",
    async ([_what, body, code], { serve }) => {
      const { perennial, upstream } = await serve([jsonReply(body)], { ...CHATCHAT, nonStreaming: "viaStream" });
      const seen = await ask(perennial, finishing, { stream: false });
      expect(seen.status === 200 ? undefined : codeOf(seen)).toBe(code);
      expect(upstream.requests[0]?.json.stream).toBe(false);
    },
  );

  test("is asked again as it was, even where others are asked whole", async ({ serve }) => {
    const { perennial, upstream } = await serve([atOnce([]), atOnce([text])], {
      upstream: { profile: "chatchat", emptyFallback: "next" },
    });
    expect((await ask(perennial, native)).body).toBe(text);
    expect(upstream.requests[1]?.body).toBe(upstream.requests[0]?.body);
  });
});
