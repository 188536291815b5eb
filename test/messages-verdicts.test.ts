/** Anthropic messages, event by event: what is whole, what is cut, what is asked for again. */

import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { ask, codeIn, hears } from "./support/client.ts";
import { line, typed } from "./support/events.ts";
import { atOnce, open, STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

describe("messages", () => {
  const begin = typed("message_start", { message: { id: "m", content: [] } });
  const block = (content_block: object): string => typed("content_block_start", { index: 0, content_block });
  const delta = (fields: object): string => typed("content_block_delta", { index: 0, delta: fields });
  const blockStop = typed("content_block_stop", { index: 0 });
  const text = [begin, block({ type: "text", text: "" }), delta({ type: "text_delta", text: "Hi" })];
  const reason = (stop_reason: string | null): string => typed("message_delta", { delta: { stop_reason } });
  const stop = typed("message_stop");
  const whole: [what: string, events: string[], requests: number][] = [
    ["a blank line among its events", [...text, "data: \n\n", blockStop, reason("end_turn"), stop], 1],
    [
      "its types only in the event lines",
      [...text, blockStop, reason("end_turn"), stop].map((event) => event.replace(/"type":"\w+",?/, "")),
      1,
    ],
    [
      "its types only in the data",
      [...text, blockStop, reason("end_turn"), stop].map((event) => event.replace(/^event: .*\n/, "")),
      1,
    ],
    ["a message_stop, and no word of a stop_reason", [...text, blockStop, stop], 1],
    [
      "a message_stop after a usage alone",
      [...text, blockStop, typed("message_delta", { delta: {}, usage: { output_tokens: 1 } }), stop],
      1,
    ],
    ["nothing to say at every attempt", [begin, reason("end_turn"), stop], 3],
    ["a refusal without a word", [begin, reason("refusal"), stop], 1],
  ];
  const told: [what: string, events: string[], requests: number][] = [
    ["an error in plain text", [...text, "event: error\ndata: boom\n\n"], 1],
    ["an error without an object for it", [...text, typed("error", { message: "boom" })], 1],
    ["an error without a type", [...text, line({ error: { message: "boom" } })], 1],
    ["an error without an event line", [...text, line({ type: "error", error: { message: "boom" } })], 1],
    ["a request that is wrong", [typed("error", { error: { type: "invalid_request_error", message: "boom" } })], 1],
    ["a server that is overloaded", [typed("error", { error: { type: "overloaded_error", message: "boom" } })], 3],
  ];
  const failed: [what: string, events: string[], code: string, requests: number][] = [
    ["an event that is not JSON", [...text, "data: boom\n\n"], "stream_corrupted", 1],
    ["a stop_reason that is null", [...text, blockStop, reason(null)], "stream_truncated", 1],
    ["a block that is never closed", [...text, reason("end_turn")], "stream_truncated", 1],
    ["a message_stop after a stop_reason of null", [...text, blockStop, reason(null), stop], "stream_truncated", 1],
    ["neither stop_reason nor message_stop", [...text, blockStop], "stream_truncated", 1],
    ["no content and no stop_reason", [begin, stop], "empty_stream", 3],
    ["a block that is empty", [begin, block({ type: "text", text: "" })], "empty_stream", 3],
    ["a delta that is empty", [...text.slice(0, 2), delta({ type: "text_delta", text: "" })], "empty_stream", 3],
  ];

  test.for(whole)("with %s are judged by what came", async ([_what, events, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], { upstream: { emptyFallback: "off" } });
    const seen = await ask(perennial, "/v1/messages");
    expect([codeIn(seen), upstream.requests.length]).toEqual([undefined, requests]);
    expect(seen.body).toContain("message_stop");
  });

  test.for(told)("with %s are judged by what came", async ([_what, events, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], { upstream: { emptyFallback: "off" } });
    const seen = await ask(perennial, "/v1/messages");
    expect([codeIn(seen), upstream.requests.length]).toEqual(["upstream_error_event", requests]);
    expect(seen.body).toContain("boom");
  });

  test.for(failed)("with %s are judged by what came", async ([_what, events, code, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], { upstream: { emptyFallback: "off" } });
    expect([codeIn(await ask(perennial, "/v1/messages")), upstream.requests.length]).toEqual([code, requests]);
  });

  test.for([
    ["invalid_request_error", 400],
    ["overloaded_error", 529],
  ])("with an error of type %s are an HTTP %i", async ([type, status], { serve }) => {
    const { perennial } = await serve([atOnce([typed("error", { error: { type } })])]);
    expect((await ask(perennial, "/v1/messages")).status).toBe(status);
  });

  test("without message_stop are cut under requireDone", async ({ serve }) => {
    const { perennial } = await serve([atOnce([...text, blockStop, reason("end_turn")])], { upstream: { requireDone: true } });
    expect((await ask(perennial, "/v1/messages")).body).toContain("stream_truncated");
  });

  test.for([
    ["thinking", [block({ type: "thinking" }), delta({ type: "thinking_delta", thinking: "Hm" })], "Hm"],
    ["a citation", [block({ type: "text", text: "" }), delta({ type: "citations_delta", citation: { title: "Hm" } })], "Hm"],
    ["a block that begins with text", [block({ type: "text", text: "Hm" })], "Hm"],
    ["a block that begins with thinking", [block({ type: "thinking", thinking: "Hm" })], "Hm"],
    ["a tool's result", [block({ type: "web_search_tool_result", content: [{ title: "Hm" }] })], "Hm"],
    ["a tool call that is complete", [block({ type: "tool_use", name: "weather" }), blockStop], "weather"],
  ])("hand on %s at once", async ([_what, events, heard], { serve }) => {
    const { perennial } = await serve([open(begin, ...events)]);
    expect(await hears(perennial, "/v1/messages", heard)).toBe(true);
  });

  test("are not stalled while the parts of a tool call come", async ({ serve }) => {
    const tool = [begin, block({ type: "tool_use", name: "weather", input: {} })];
    const end = [blockStop, reason("tool_use"), stop];
    const { perennial } = await serve(
      [
        async (socket) => {
          socket.write(`${STREAM_HEAD}${tool.join("")}`);
          for (let i = 0; i < 16; i++) {
            await pause(60);
            socket.write(delta({ type: "input_json_delta", partial_json: "x" }));
          }
          socket.end(end.join(""));
        },
      ],
      { timeouts: { idle: "600ms" }, retry: { maxAttempts: 1 } },
    );
    expect((await ask(perennial, "/v1/messages")).body.endsWith(end.join(""))).toBe(true);
  });

  test("hold back the server's own tool calls as well, and count them as content", async ({ serve }) => {
    const used = [begin, block({ type: "server_tool_use", name: "weather" }), delta({ partial_json: "{}" }), blockStop];
    used.push(reason("end_turn"), stop);
    const { perennial } = await serve([atOnce(used.slice(0, 3)), atOnce(used)]);
    expect((await ask(perennial, "/v1/messages")).body).toBe(used.join(""));
  });
});
