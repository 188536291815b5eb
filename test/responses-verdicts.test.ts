/** OpenAI responses, event by event: what is whole, what is cut, what is asked for again. */
import { describe, expect } from "vitest";
import { ask, codeIn, hears } from "./support/client.ts";
import { DONE, line, typed } from "./support/events.ts";
import { atOnce, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

describe("responses", () => {
  const created = typed("response.created", { response: { output: [] } });
  const text = (delta: unknown, fields: object = {}): string =>
    typed("response.output_text.delta", { output_index: 0, delta, ...fields });
  const tool = typed("response.output_item.added", { output_index: 0, item: { type: "function_call", name: "weather" } });
  const toolDone = typed("response.output_item.done", { output_index: 0, item: { type: "function_call" } });
  const completed = (output: object[] = []): string => typed("response.completed", { response: { status: "completed", output } });
  const incomplete = typed("response.incomplete", { response: { status: "incomplete", output: [] } });
  const whole: [what: string, events: string[], requests: number][] = [
    ["blank lines and [DONE] among its events", ["data: \n\n", DONE, text("Hi"), DONE, completed([{}])], 1],
    ["its output only in its last event", [created, completed([{ type: "message", content: [{ text: "Hi" }] }])], 1],
    ["a message without a word at every attempt", [created, completed([{ type: "message" }])], 3],
    ["a tool call that its last event does not repeat", [tool, toolDone, completed()], 1],
    ["a tool call that is never done, but a last event", [tool, completed()], 1],
    ["no output at every attempt", [created, completed()], 3],
    ["no output because it is incomplete", [created, incomplete], 1],
  ];
  const failed: [what: string, events: string[], code: string, requests: number][] = [
    ["an error in plain text", [text("Hi"), "event: error\ndata: boom\n\n"], "upstream_error_event", 1],
    ["an event that is not JSON", [text("Hi"), "data: boom\n\n"], "stream_corrupted", 1],
    ["a number left out", [text("Hi", { sequence_number: 1 }), text("Hi", { sequence_number: 3 })], "stream_corrupted", 1],
    ["an error without an event line", [text("Hi"), line({ type: "error", message: "boom" })], "upstream_error_event", 1],
    ["a failure without a reason", [text("Hi"), typed("response.failed", { response: {} })], "upstream_error_event", 1],
    ["a cancellation", [text("Hi"), typed("response.cancelled")], "upstream_error_event", 1],
    ["a line with an error", [text("Hi"), "error: boom\n\n"], "upstream_error_event", 1],
    ["nothing but its beginning", [created], "empty_stream", 3],
    ["no more than an empty delta", [created, text("")], "empty_stream", 3],
    ["a delta where none belongs", [created, typed("response.queued", { delta: "x" })], "empty_stream", 3],
    ["a cut after its text", [text("Hi")], "stream_truncated", 1],
  ];

  test.for(whole)("with %s are judged by what came", async ([_what, events, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], { upstream: { emptyFallback: "off" } });
    // What has no event line is no event of this dialect, and reaches nobody.
    expect((await ask(perennial, "/v1/responses")).body).toBe(events.filter((event) => event.startsWith("event:")).join(""));
    expect(upstream.requests).toHaveLength(requests);
  });

  test.for(failed)("with %s are judged by what came", async ([_what, events, code, requests], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)], { upstream: { emptyFallback: "off" } });
    expect([codeIn(await ask(perennial, "/v1/responses")), upstream.requests.length]).toEqual([code, requests]);
  });

  test("pass on no pings, and end with their last event though the upstream leaves its socket open", async ({ serve }) => {
    const { perennial } = await serve([open(line({ type: "ping" }), text("Hi"), completed([{}]))]);
    expect((await ask(perennial, "/v1/responses")).body).toBe(text("Hi") + completed([{}]));
  });

  test.for([
    [
      "the text of a message item",
      [typed("response.output_item.added", { output_index: 0, item: { type: "message" } }), text("Hi")],
      '"Hi"',
    ],
    ["a tool call that is done", [tool, toolDone], "weather"],
  ])("hand on %s at once", async ([_what, events, heard], { serve }) => {
    const { perennial } = await serve([open(created, ...events)]);
    expect(await hears(perennial, "/v1/responses", heard)).toBe(true);
  });
});
