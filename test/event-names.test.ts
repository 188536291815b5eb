/** Events of the dialects whose events have names: a name, a type or the data that is lost is told, and servers that never had them are let be. */
import { describe, expect, test } from "vitest";
import type { Dialect } from "../src/core/dialect.ts";
import { anthropicMessages } from "../src/dialect/anthropic-messages.ts";
import { chatchatCompletions } from "../src/dialect/chatchat.ts";
import { openAiChat } from "../src/dialect/openai-chat.ts";
import { openAiCompletions } from "../src/dialect/openai-completions.ts";
import { openAiResponses } from "../src/dialect/openai-responses.ts";
import { readStream } from "./support/read-stream.ts";
import {
  chatchatSpeaker,
  chatSpeaker,
  completionsSpeaker,
  messagesSpeaker,
  responsesSpeaker,
  type Speaker,
  whole,
} from "./support/speakers.ts";

const SPOKEN: readonly (readonly [Speaker, Dialect, string])[] = [
  [messagesSpeaker, anthropicMessages, "content_block_delta"],
  [responsesSpeaker, openAiResponses, "response.output_text.delta"],
];

const nameOf = (event: string): string => /^event: (.*)$/m.exec(event)?.[1] ?? "";

describe.each(SPOKEN)("$name", (speaker, dialect, part) => {
  const told = (events: readonly string[], step?: number): string => {
    const { text, failure } = readStream(dialect, Buffer.from(events.join("")), step);
    return failure ?? `whole: ${speaker.readText(text)}`;
  };
  const before = [...speaker.begin, speaker.text("Do")];
  const not = speaker.text(" not");
  const after = [...speaker.finish(), speaker.terminator];
  const among = (event: string): readonly string[] => [...before, event, ...after];

  test.each<[what: string, event: string]>([
    ["an event without its data", `event: ${part}\n\n`],
    ["an event whose data is blank", `event: ${part}\ndata:\n\n`],
    ["an event whose data holds nothing", `event: ${part}\ndata: null\n\n`],
    ["a line end that is lost between name and data", not.replace("\ndata", "data")],
    ["an error without its data", "event: error\n\n"],
    ["a name that is damaged", not.replace(part, part.replace("delta", "dulta"))],
    ["a name of another event", not.replace(part, nameOf(speaker.terminator))],
    ["a ping's name", not.replace(part, "ping")],
    ["a type that is damaged", not.replace(`"type":"${part}"`, `"type":"${part.replace("delta", "dulta")}"`)],
    ["a type that is lost", not.replace(`"type":"${part}"`, `"typf":"${part}"`)],
    ["a type that is lost with most of the event", `event: ${part}\ndata: {"typdelta":"x"}\n\n`],
  ])("%s is a loss", (_what, event) => {
    for (const step of [undefined, 1, 5]) expect(told(among(event), step)).toMatch(/^(?:stream_corrupted|upstream_error_event)$/);
  });

  test.each<[what: string, event: string]>([
    ["a ping", 'event: ping\ndata: {"type":"ping"}\n\n'],
    ["a ping of an empty object", "event: ping\ndata: {}\n\n"],
    ["a name alone", "event: keep-alive\n\n"],
    ["an event of the future", 'event: extra.step\ndata: {"type":"extra.step","n":1}\n\n'],
    ["data that holds nothing", "data: null\n\n"],
  ])("%s is none", (_what, event) => {
    for (const step of [undefined, 1, 5]) expect(told(among(event), step)).toBe("whole: Do");
  });

  test.each<[what: string, change: (event: string) => string]>([
    ["without names", (event) => event.replace(/^event: .*\n/, "")],
    ["with one name for all", (event) => event.replace(/^event: .*$/m, "event: message")],
  ])("a server %s is understood, and what it sends has the names that clients go by", (_what, change) => {
    const { text, failure } = readStream(dialect, Buffer.from([...before, not, ...after].map(change).join("")));
    expect([failure, speaker.readText(text)]).toEqual([undefined, "Do not"]);
    if (speaker === messagesSpeaker) expect(text).toContain(not);
  });
});

describe("messages", () => {
  const told = (...events: string[]): string | undefined => readStream(anthropicMessages, Buffer.from(events.join(""))).failure;
  const typed = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  const start = (index: number, content_block: object): string => typed("content_block_start", { index, content_block });
  const delta = (index: number, fields: object): string => typed("content_block_delta", { index, delta: fields });
  const stop = (index: number): string => typed("content_block_stop", { index });
  const [begin = ""] = messagesSpeaker.begin;
  const end = typed("message_delta", { delta: { stop_reason: "tool_use" } });
  const tool = start(0, { type: "tool_use", id: "t", name: "f", input: {} });
  const json = (partial_json: string): string => delta(0, { type: "input_json_delta", partial_json });

  test("a piece of a tool call that had ended is told, since its client may have acted", () => {
    expect(told(begin, tool, json('{"a"'), stop(0), json(":1}"), end)).toBe("stream_corrupted");
    expect(told(begin, tool, json('{"a"'), json(":1}"), stop(0), end)).toBeUndefined();
  });

  test("a piece of a text that had ended is passed on, as is one without content", () => {
    const text = delta(0, { type: "text_delta", text: "a" });
    expect(told(begin, start(0, { type: "text", text: "" }), text, stop(0), text, end)).toBeUndefined();
    expect(told(begin, tool, json("{}"), stop(0), json(""), end)).toBeUndefined();
  });

  test("a tool's block may have the number of a text's before it", () => {
    const text = [start(0, { type: "text", text: "" }), delta(0, { type: "text_delta", text: "a" }), stop(0)];
    expect(told(begin, ...text, tool, json("{}"), stop(0), end)).toBeUndefined();
    expect(told(begin, tool, json("{}"), stop(0), ...text, end)).toBeUndefined();
  });

  test.each(["\u00a0", "\u000b", "\ufeff"])("data that is JSON but for %j around it is none: its client would fail", (odd) => {
    const [first = ""] = messagesSpeaker.begin;
    expect(told(first.replace("data: ", `data: ${odd}`), ...messagesSpeaker.begin.slice(1))).toBe("stream_corrupted");
    expect(told(...whole(messagesSpeaker))).toBeUndefined();
  });
});

describe.each([
  [chatSpeaker, openAiChat],
  [completionsSpeaker, openAiCompletions],
  [messagesSpeaker, anthropicMessages],
  [responsesSpeaker, openAiResponses],
  [chatchatSpeaker, chatchatCompletions],
] as const)("$name", (speaker, dialect) => {
  const told = (odd: string): string | undefined => {
    const events = [...speaker.begin, speaker.text("Do"), odd, speaker.text(" it"), ...speaker.finish(), speaker.terminator];
    return readStream(dialect, Buffer.from(events.join(""))).failure;
  };

  test.each(["{\n", "}event: x\n", "], more\n", "}, and more\n"])(
    "debris of JSON that is not its end is a loss as well: %j",
    (odd) => {
      expect(told(odd)).toBe("stream_corrupted");
    },
  );

  test("a ping is no event of the answer", () => {
    expect(told("event: ping\ndata: {}\n\n")).toBeUndefined();
    const { text } = readStream(dialect, Buffer.from(`event: ping\ndata: {}\n\n${whole(speaker).join("")}`));
    expect(text).toBe(readStream(dialect, Buffer.from(whole(speaker).join(""))).text);
  });
});
