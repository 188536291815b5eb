/** A cut while the model still thinks: asked again from the start where no thought was shown, and the honest error where one was. */
import { describe, expect } from "vitest";
import { askDialect, byName, serveDialect } from "./support/dialect-client.ts";
import { readDialectStream } from "./support/dialect-fixtures.ts";
import { choice, typed } from "./support/events.ts";
import { test } from "./support/test.ts";

const numbered = (sequence_number: number, type: string, fields: object): string => typed(type, { sequence_number, ...fields });

const THOUGHT = "The user greets";
const RESPONSE = { id: "resp_0", object: "response", status: "in_progress", model: "m", output: [] };
const item = (fields: object): object => ({ id: "rs_1", type: "reasoning", summary: [], ...fields });
const began = [
  numbered(0, "response.created", { response: RESPONSE }),
  numbered(1, "response.in_progress", { response: RESPONSE }),
];
const added = numbered(2, "response.output_item.added", { output_index: 0, item: item({}) });
const message = {
  id: "msg_0",
  type: "message",
  role: "assistant",
  model: "m",
  content: [],
  usage: { input_tokens: 1, output_tokens: 1 },
};
const thinking = [
  typed("message_start", { message }),
  typed("content_block_start", { index: 0, content_block: { type: "thinking", thinking: "", signature: "" } }),
];

/** What came before the cut: nothing that a user could read. */
const HIDDEN: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "openai-chat",
    "a field for it that holds nothing",
    [choice({ role: "assistant", reasoning_content: null }), choice({ reasoning_content: "" })],
  ],
  ["openai-chat", "a list of it that is empty", [choice({ role: "assistant", reasoning: "", reasoning_details: [] })]],
  ["anthropic-messages", "an open block of it", thinking],
  ["anthropic-messages", "an open block of it, and signs of life", [...thinking, typed("ping")]],
  ["openai-responses", "an open item of it", [...began, added]],
  [
    "openai-responses",
    "an item of it that has come and gone",
    [...began, added, numbered(3, "response.output_item.done", { output_index: 0, item: item({}) })],
  ],
];

const SHOWN: readonly (readonly [string, string, readonly string[]])[] = [
  ["openai-chat", "reasoning_content", [choice({ role: "assistant" }), choice({ reasoning_content: THOUGHT })]],
  ["openai-chat", "reasoning", [choice({ role: "assistant" }), choice({ reasoning: THOUGHT })]],
  ["openai-chat", "reasoning_details", [choice({ reasoning_details: [{ type: "reasoning.text", text: THOUGHT }] })]],
  [
    "openai-chat",
    "reasoning_content, and half of the answer",
    [choice({ reasoning_content: THOUGHT }), choice({ content: "A greeting, so that one answers:".repeat(3) })],
  ],
  [
    "anthropic-messages",
    "thinking",
    [...thinking, typed("content_block_delta", { index: 0, delta: { type: "thinking_delta", thinking: THOUGHT } })],
  ],
  [
    "anthropic-messages",
    "thinking, and half of the answer",
    [
      ...thinking,
      typed("content_block_delta", { index: 0, delta: { type: "thinking_delta", thinking: THOUGHT } }),
      typed("content_block_stop", { index: 0 }),
      typed("content_block_start", { index: 1, content_block: { type: "text", text: "" } }),
      typed("content_block_delta", {
        index: 1,
        delta: { type: "text_delta", text: "A greeting, so that one answers:".repeat(3) },
      }),
    ],
  ],
  [
    "openai-responses",
    "a summary",
    [
      ...began,
      added,
      numbered(3, "response.reasoning_summary_text.delta", {
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        delta: THOUGHT,
      }),
    ],
  ],
  [
    "openai-responses",
    "reasoning text",
    [
      ...began,
      added,
      numbered(3, "response.reasoning_text.delta", { item_id: "rs_1", output_index: 0, content_index: 0, delta: THOUGHT }),
    ],
  ],
];

const WAYS = ["assistant", "rerun"] as const;
const settings = (continuation: string): Record<string, unknown> => ({
  recovery: "continue",
  resume: { maxAttempts: 5, minChars: 1, proof: "answer" },
  upstream: { continuation },
});

describe("where nothing was shown of it", () => {
  test.for(HIDDEN)("%s: %s", async ([name, _what, events], { serve }) => {
    const fixture = byName(name);
    const { perennial, upstream } = await serveDialect(
      serve,
      fixture,
      (request) => (request.number === 1 ? events : fixture.events),
      settings("assistant"),
    );
    const { body } = await askDialect(perennial, fixture, { temperature: 0 });
    expect(readDialectStream(fixture, body)).toEqual(readDialectStream(fixture, fixture.events.join("")));
    expect(body).not.toMatch(/resp_0|msg_0/);
    // The client's own request again, not one for a rest.
    expect(upstream.requests).toHaveLength(2);
    expect(upstream.requests[1]?.body).toBe(upstream.requests[0]?.body);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });
});

describe("where thoughts were shown, they are never shown again", () => {
  test.for(SHOWN.flatMap((row) => WAYS.map((way) => [row[0], `${row[1]}, continuation: ${way}`, row[2], way] as const)))(
    "%s: %s",
    async ([name, _what, events, way], { serve }) => {
      const fixture = byName(name);
      const { perennial, upstream } = await serveDialect(serve, fixture, () => events, settings(way));
      const { body } = await askDialect(perennial, fixture, { temperature: 0, seed: 1 });
      expect(body.split(THOUGHT)).toHaveLength(2);
      expect(readDialectStream(fixture, body)).toMatchObject({ whole: false, errorCode: "stream_truncated" });
      expect(upstream.requests).toHaveLength(1);
      expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", seam: "reasoning" });
    },
  );

  test.for(["assistant", "rerun"] as const)("nor when they come first of what was to be the rest: %s", async (way, { serve }) => {
    const words = ["A greeting is", " answered with", " another greeting", ", as everybody", " knows."];
    const said = words.map((content) => choice({ content }));
    const { perennial, upstream } = await serve(
      [said, [choice({ reasoning_content: THOUGHT }), ...said, choice({}, "stop"), "data: [DONE]\n\n"]],
      settings(way),
    );
    const fixture = byName("openai-chat");
    const { body } = await askDialect(perennial, fixture, { temperature: 0 });
    expect(readDialectStream(fixture, body)).toMatchObject({ text: words.join(""), whole: false, errorCode: "stream_truncated" });
    expect(body).not.toContain(THOUGHT);
    expect(upstream.requests).toHaveLength(2);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", seam: "kind" });
  });
});
