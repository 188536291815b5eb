import { expect, test } from "vitest";
import type { AttemptOutput, AttemptResult } from "../core/attempt-output.ts";
import { DISCARD } from "../core/event-sink.ts";
import { UsageMeter, type Used } from "./usage-meter.ts";

const output = { openStream: () => DISCARD, nextLeg: () => ({ sink: DISCARD, accept: () => true }) } as unknown as AttemptOutput;
const streamed: AttemptResult = { kind: "streamed", repaired: false };
const reply = (body: object): AttemptResult => ({
  kind: "reply",
  status: 200,
  headers: {},
  body: Buffer.from(JSON.stringify(body)),
  repaired: false,
});

function measure(events: readonly string[], result: AttemptResult | undefined): Used | undefined {
  let used: Used | undefined;
  const meter = new UsageMeter((told) => {
    used = told;
  });
  const sink = meter.watch(output).openStream({}, { at: "content", lagMs: 0, onFailure() {}, onSettle() {} });
  for (const data of events) sink.push({ event: undefined, data, characters: 5 }, "content");
  meter.end(result);
  return used;
}

test.each([
  [
    "a chat's last chunk",
    ['{"choices":[],"usage":null}', '{"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'],
    10,
  ],
  [
    "every chunk, more each time",
    ['{"usage":{"total_tokens":8}}', '{"usage": {"total_tokens":9}}', '{"usage":{"total_tokens":12}}'],
    12,
  ],
  [
    "a message's beginning and end; what came from the cache is free",
    [
      '{"type":"message_start","message":{"usage":{"input_tokens":20,"cache_creation_input_tokens":5,"cache_read_input_tokens":900,"output_tokens":1}}}',
      '{"type":"message_delta","usage":{"output_tokens":30}}',
    ],
    55,
  ],
  [
    "a response",
    ['{"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10}}}'],
    10,
  ],
  [
    "an earlier one, where the last makes no sense",
    ['{"usage":{"total_tokens":9}}', '{"usage":{"total_tokens":1e999,"completion_tokens":-5,"prompt_tokens":1e300}}'],
    9,
  ],
  ["none of it, where it has no numbers", ['{"usage":{}}', '{"usage":{"total_tokens":1e999}}'], undefined],
  [
    "nowhere: the words are not the field",
    ['{"choices":[{"delta":{"content":"\\"usage\\":{\\"total_tokens\\":9}"}}]}'],
    undefined,
  ],
])("reads the tokens of a stream from %s", (_where, events, tokens) => {
  expect(measure(events, streamed)).toEqual({ tokens, characters: 5 * events.length });
});

test("reads those of an answer in JSON, and knows nothing of one that says nothing, or was passed through", () => {
  expect(measure([], reply({ usage: { prompt_tokens: 3, completion_tokens: 4 } }))).toEqual({ tokens: 7, characters: undefined });
  expect(measure([], reply({ data: [] }))).toEqual({ tokens: undefined, characters: undefined });
  expect(measure([], { kind: "piped" })).toEqual({ tokens: undefined, characters: undefined });
});

test("has the characters that came of an attempt that broke", () => {
  expect(measure(["{}", "{}"], undefined)).toEqual({ tokens: undefined, characters: 10 });
});
