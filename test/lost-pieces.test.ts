/** Every piece that one event can lose, in every dialect: what is called whole has all of the text, or it is not called whole. */
import { expect, test } from "vitest";
import type { Dialect, StreamEnd } from "../src/core/dialect.ts";
import { anthropicMessages } from "../src/dialect/anthropic-messages.ts";
import { chatchat, chatchatCompletions } from "../src/dialect/chatchat.ts";
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
} from "./support/speakers.ts";

const native: Speaker = {
  ...chatchatSpeaker,
  name: "chatchat, native",
  begin: [],
  text: (text) => `data: ${JSON.stringify({ text, message_id: "m" })}\n\n`,
  finish: () => [],
  readText: (body) => [...body.matchAll(/^data: (\{.*\})$/gm)].map(([, data = ""]) => JSON.parse(data).text).join(""),
};

const SPOKEN: readonly (readonly [Speaker, Dialect])[] = [
  [chatSpeaker, openAiChat],
  [completionsSpeaker, openAiCompletions],
  [messagesSpeaker, anthropicMessages],
  [responsesSpeaker, openAiResponses],
  [chatchatSpeaker, chatchatCompletions],
  [native, chatchat],
];
const REQUEST = { stream: true, model: "m", choices: 1, includeUsage: false };

const LOST = " \"NOT\" {to} [be]: 'a', ";

test.each(SPOKEN)("$name: no piece of an event is lost in silence", (speaker, dialect) => {
  const event = speaker.text(LOST);
  const before = [...speaker.begin, speaker.text("Do")].join("");
  const after = [speaker.text(" delete"), ...speaker.finish(), speaker.terminator].join("");
  const wanted = `Do${LOST} delete`;
  const silent: string[] = [];
  let failed = 0;
  const dataAt = event.indexOf("data: ");
  // Where a piece begins and ends, within the line that holds the text. All of it gone is a loss that only numbers could show.
  const places = [dataAt, dataAt + 1, dataAt + 4, dataAt + 5, dataAt + 6];
  for (let at = dataAt + 7; at < event.length - 2; at += 3) places.push(at);
  for (const [begin, from] of places.entries()) {
    for (const to of places.slice(begin + 1)) {
      // Inside the text it is another text.
      const piece = event.slice(0, from) + event.slice(to);
      const { text, failure } = readStream(dialect, Buffer.from(before + piece + after));
      if (failure !== undefined) failed++;
      else if (speaker.readText(text) !== wanted && !isOtherText(speaker, piece)) silent.push(piece);
    }
  }
  expect(silent).toEqual([]);
  expect(failed).toBeGreaterThan(200);
});

/** The piece left an event that can be read: a field, or words, are gone from it, which only its sender could notice. */
function isOtherText(speaker: Speaker, piece: string): boolean {
  try {
    JSON.parse(/^data: ?(.*)$/m.exec(piece)?.[1] ?? "");
    return speaker.readText(piece) !== undefined;
  } catch {
    return false;
  }
}

test.each(SPOKEN)("$name: the verdict does not depend on how the reads are split", (speaker, dialect) => {
  const good = [...speaker.begin, speaker.text("水🌊")].join("");
  const bodies = [
    Buffer.from(`${good}${speaker.text("x").slice(9)}${speaker.finish().join("")}${speaker.terminator}`),
    Buffer.concat([Buffer.from(`${good}data: {"a":"`), Buffer.from([0xf0, 0x9f, 0x8c, 0x22]), Buffer.from('"}\n\n')]),
    Buffer.from(`${good}${"y".repeat(20_000)}\n\n${speaker.finish().join("")}${speaker.terminator}`),
    Buffer.from(`${good}: {"choices":[{"delta":{"content":"x"}}]}\n\n${speaker.finish().join("")}${speaker.terminator}`),
  ];
  for (const body of bodies) {
    const atOnce = readStream(dialect, body);
    for (const step of [1, 7, 4_096]) expect(readStream(dialect, body, step)).toEqual(atOnce);
  }
});

test.each(SPOKEN.filter(([{ name }]) => !/responses|native/.test(name)))(
  "$name: where the terminator finishes, it alone makes an answer whole",
  (speaker, dialect) => {
    const end: StreamEnd = {
      terminated: true,
      cause: undefined,
      torn: false,
      requireTerminator: false,
      terminatorFinishes: true,
      acceptEmpty: false,
    };
    const dataOf = (event: string): { event: string | undefined; data: string } => ({
      event: /^event: (.*)$/m.exec(event)?.[1],
      data: /^data: (.*)$/m.exec(event)?.[1] ?? "",
    });
    const isClosed =
      speaker === messagesSpeaker ? ['event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'] : [];
    const judge = (terminatorFinishes: boolean, terminated: boolean): string | undefined => {
      const inspector = dialect.inspectStream(REQUEST);
      const done = terminated ? ["data: [DONE]\n\n"] : [];
      for (const event of [...speaker.begin, speaker.text("Hi"), ...isClosed, ...done]) inspector.onEvent(dataOf(event));
      const nullReason = 'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":null}}\n\n';
      if (speaker === messagesSpeaker) inspector.onEvent(dataOf(nullReason));
      return inspector.onEnd({ ...end, terminated, terminatorFinishes })?.code;
    };
    expect([judge(true, true), judge(true, false), judge(false, true)]).toEqual([
      undefined,
      "stream_truncated",
      "stream_truncated",
    ]);
  },
);

test.each(SPOKEN.filter(([{ name }]) => !/responses|native/.test(name)))(
  "$name: what was odd about a whole answer is said for the log, and nothing of the answer",
  (speaker, dialect) => {
    const warn = (word: string | undefined, last: string): string | undefined => {
      const inspector = dialect.inspectStream(REQUEST);
      for (const event of [...speaker.begin, speaker.text("Secret"), ...speaker.finish(word)]) {
        inspector.onEvent({ event: /^event: (.*)$/m.exec(event)?.[1], data: /^data: (.*)$/m.exec(event)?.[1] ?? "" });
      }
      const verdict = last === "" ? undefined : inspector.onEvent({ event: undefined, data: last });
      const cause = verdict instanceof Error ? verdict : undefined;
      const judged = inspector.onEnd({ terminated: false, cause, torn: false, requireTerminator: false, acceptEmpty: false });
      expect(judged).toBeUndefined();
      return inspector.warning;
    };
    expect(warn(undefined, "")).toBeUndefined();
    expect(warn("Generated", "")).toContain('"Generated"');
    expect(warn(undefined, '{"error":{"message":"Secret"}}')).toMatch(/^behind the end of the answer/);
    expect(warn(undefined, "Secret {")).not.toContain("Secret");
  },
);
