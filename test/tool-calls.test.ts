/** Tool calls: held until they are complete, so that no client acts on half of one. */
import { describe, expect } from "vitest";
import { ask, chat, codeOf, hears } from "./support/client.ts";
import { askDialect, byName, serveDialect } from "./support/dialect-client.ts";
import { readDialectStream } from "./support/dialect-fixtures.ts";
import { call, chatChunk, choice, line, toolCall, typed } from "./support/events.ts";
import { atOnce, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const TOOL_STREAMS: [name: string, begin: string[], parts: string[], end: string[]][] = [
  [
    "openai-chat",
    [chatChunk({ role: "assistant", content: null })],
    [toolCall(0, "", "weather"), toolCall(0, '{"city":'), toolCall(0, '"Ulm"}'), toolCall(1, '{"x":1}', "other")],
    [chatChunk({}, "tool_calls"), "data: [DONE]\n\n"],
  ],
  [
    "openai-responses",
    [typed("response.created", { sequence_number: 0, response: { output: [] } })],
    [
      typed("response.output_item.added", {
        sequence_number: 1,
        output_index: 0,
        item: { type: "function_call", name: "weather" },
      }),
      typed("response.function_call_arguments.delta", { sequence_number: 2, output_index: 0, delta: '{"city":' }),
      typed("response.output_item.done", {
        sequence_number: 3,
        output_index: 0,
        item: { type: "function_call", arguments: "{}" },
      }),
    ],
    [typed("response.completed", { sequence_number: 4, response: { status: "completed", output: [{ type: "function_call" }] } })],
  ],
  [
    "anthropic-messages",
    [typed("message_start", { message: { id: "m", content: [] } })],
    [
      typed("content_block_start", { index: 0, content_block: { type: "tool_use", id: "t", name: "weather", input: {} } }),
      typed("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json: '{"city":' } }),
      typed("content_block_stop", { index: 0 }),
    ],
    [typed("message_delta", { delta: { stop_reason: "tool_use" } }), typed("message_stop", {})],
  ],
];

describe.each(TOOL_STREAMS)("tool calls of %s", (name, begin, parts, end) => {
  const fixture = byName(name);
  const whole = [...begin, ...parts, ...end];

  test("are handed on when they are complete", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, () => whole);
    expect((await askDialect(perennial, fixture)).body).toBe(whole.join(""));
  });

  test("that are cut are asked for again, and no client sees half an argument", async ({ serve }) => {
    for (let kept = 1; kept < parts.length; kept++) {
      const { perennial } = await serveDialect(serve, fixture, ({ number }) =>
        number === 1 ? [...begin, ...parts.slice(0, kept)] : whole,
      );
      expect((await askDialect(perennial, fixture)).body).toBe(whole.join(""));
      expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
    }
  });

  test("are handed on as they come with gate.toolCalls: stream", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, () => [...begin, ...parts.slice(0, -1)], {
      gate: { toolCalls: "stream" },
    });
    const { body } = await askDialect(perennial, fixture);
    expect(body).toContain("weather");
    expect(body).toContain("stream_truncated");
  });
});

test("text before a tool call streams as ever, and a cut inside the call shows none of it", async ({ serve }) => {
  const fixture = byName("openai-chat");
  const { perennial } = await serveDialect(serve, fixture, () => [
    chatChunk({ content: "Let me see." }),
    toolCall(0, '{"city":', "weather"),
  ]);
  const { body } = await askDialect(perennial, fixture);
  expect(body).toContain("Let me see.");
  expect(body).not.toContain("weather");
  expect(readDialectStream(fixture, body)).toMatchObject({ errorCode: "stream_truncated" });
});

test("a tool call larger than limits.maxGateBytes is handed on as it comes, and a cut in it is told", async ({ serve }) => {
  const fixture = byName("openai-chat");
  const events = [toolCall(0, "", "weather"), ...Array.from({ length: 9 }, () => toolCall(0, "x".repeat(500)))];
  const { perennial, upstream } = await serveDialect(serve, fixture, () => events, { limits: { maxGateBytes: "2KiB" } });
  const { status, body } = await askDialect(perennial, fixture);
  expect(status).toBe(200);
  expect(body.startsWith(events.join(""))).toBe(true);
  expect(readDialectStream(fixture, body)).toMatchObject({ errorCode: "stream_truncated" });
  expect(upstream.requests).toHaveLength(1);
});

test("an ordinary tool call in many small pieces is not too large: only what the tool is called with counts", async ({
  serve,
  startPerennial,
}) => {
  const fixture = byName("openai-chat");
  const wrapped = (json: string): string => json.replace('"choices"', `"system_fingerprint":"${"f".repeat(300)}","choices"`);
  const pieces = Array.from({ length: 200 }, () => wrapped(toolCall(0, "abcd")));
  const events = [toolCall(0, "", "weather"), ...pieces, chatChunk({}, "tool_calls"), "data: [DONE]\n\n"];
  const cut = events.slice(0, -2);
  const settings = { limits: { maxGateBytes: "2KiB" }, retry: { maxAttempts: 1 } };
  const { perennial, upstream } = await serveDialect(serve, fixture, ({ number }) => (number === 1 ? events : cut), settings);
  expect((await askDialect(perennial, fixture)).body).toBe(events.join(""));
  expect((await askDialect(perennial, fixture)).status).toBe(502);
  const second = await startPerennial(upstream.baseUrl, { limits: { maxGateBytes: "2KiB", maxBodyBytes: "50KiB" } });
  expect((await askDialect(second, fixture)).body.startsWith(cut.join(""))).toBe(true);
});

test("a held tool call is measured in bytes", async ({ serve }) => {
  const fixture = byName("openai-chat");
  const { perennial } = await serveDialect(
    serve,
    fixture,
    () => [toolCall(0, "", "weather"), toolCall(0, "水".repeat(600)), toolCall(0, "水".repeat(100))],
    {
      limits: { maxGateBytes: "1900B" },
    },
  );
  expect((await askDialect(perennial, fixture)).body).toContain("水");
});

describe("tool calls of a chat", () => {
  test("are handed on at once when their choice has finished", async ({ serve }) => {
    const { perennial } = await serve([open(choice(call()), choice(call()), choice({}, "tool_calls"))]);
    expect(await hears(perennial, "/v1/chat/completions", "weather")).toBe(true);
  });

  test("are held though another choice has text in the same event", async ({ serve }) => {
    const { perennial } = await serve(
      [
        atOnce([
          line({
            choices: [
              { index: 0, delta: call() },
              { index: 1, delta: { content: "Hi" } },
            ],
          }),
        ]),
      ],
      {
        retry: { maxAttempts: 1 },
      },
    );
    expect(codeOf(await chat(perennial.baseUrl, { n: 2 }))).toBe("stream_truncated");
  });

  test("that are cut leave no text behind them, and the error says so", async ({ serve }) => {
    const { perennial } = await serve([atOnce([choice(call()), choice({ content: "Hi" })])], { retry: { maxAttempts: 1 } });
    expect((await chat(perennial.baseUrl)).body).toContain("No text had arrived");
  });
});

test("the arguments of a tool call are no text of the answer", async ({ serve }) => {
  const tool = typed("response.output_item.added", { output_index: 0, item: { type: "function_call", name: "weather" } });
  const { perennial } = await serve(
    [atOnce([tool, typed("response.function_call_arguments.delta", { output_index: 0, delta: '{"city":' })])],
    {
      gate: { toolCalls: "stream" },
    },
  );
  expect((await ask(perennial, "/v1/responses")).body).toContain("No text had arrived");
});
