import { describe, expect, test } from "vitest";
import type { Dialect } from "../../core/dialect.ts";
import type { EventSink } from "../../core/event-sink.ts";
import { Failure } from "../../core/failure.ts";
import { HeldMemory } from "../../core/held-memory.ts";
import type { StreamEvent } from "../../core/stream-event.ts";
import { anthropicMessages } from "../../dialect/anthropic-messages.ts";
import { openAiChat } from "../../dialect/openai-chat.ts";
import { openAiCompletions } from "../../dialect/openai-completions.ts";
import { type Cut, chooseCut } from "./choose-cut.ts";
import { Splice, type SpliceOptions } from "./splice.ts";

const WORDS = ["One", " answer", " is", " made", " of", " words,", " and", " breaks", " here"];
const REST = [" and", " goes on."];

const event = (json: object, name?: string): StreamEvent => ({ event: name, data: JSON.stringify(json) });
const named = (type: string, fields: object): StreamEvent => event({ type, ...fields }, type);

/** A server of one dialect, as it says its answers. */
interface Speaker {
  readonly dialect: Dialect;
  begin(leg: number): StreamEvent[];
  text(leg: number, text: string): StreamEvent;
  end(leg: number): StreamEvent[];
}

const chunk = (leg: number, choices: object[], extra: object = {}): StreamEvent =>
  event({ id: `chat-${leg}`, object: "chat.completion.chunk", created: 100 + leg, model: `m-${leg}`, choices, ...extra });
const delta = (leg: number, value: object, finish_reason: string | null = null): StreamEvent =>
  chunk(leg, [{ index: 0, delta: value, finish_reason }]);

const chatSpeaker: Speaker = {
  dialect: openAiChat,
  begin: (leg) => [delta(leg, { role: "assistant", content: "" })],
  text: (leg, content) => delta(leg, { content }),
  end: (leg) => [delta(leg, {}, "stop"), chunk(leg, [], { usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 } })],
};

const completionsSpeaker: Speaker = {
  dialect: openAiCompletions,
  begin: () => [],
  text: (leg, text) => chunk(leg, [{ index: 0, text, finish_reason: null }]),
  end: (leg) => [chunk(leg, [{ index: 0, text: "", finish_reason: "stop" }])],
};

const messagesSpeaker: Speaker = {
  dialect: anthropicMessages,
  begin: (leg) => [
    named("message_start", {
      message: { id: `msg-${leg}`, model: "m", usage: { input_tokens: leg === 1 ? 10 : 17, output_tokens: 1 } },
    }),
    named("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  ],
  text: (_leg, text) => named("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
  end: () => [
    named("content_block_stop", { index: 0 }),
    named("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 5 } }),
  ],
};

const TEXT_BLOCK = { index: 1, content_block: { type: "text", text: "" } };

const SPEAKERS: readonly [string, Speaker][] = [
  ["chat", chatSpeaker],
  ["completions", completionsSpeaker],
  ["messages", messagesSpeaker],
];

interface Spliced {
  readonly told: StreamEvent[];
  readonly text: string;
  readonly refused: string | undefined;
  readonly accepted: boolean;
}

/** Breaks an answer, cuts it, and lets `leg` go on with it. */
function splice(speaker: Speaker, leg: (cut: Cut) => StreamEvent[], options: Partial<SpliceOptions> = {}): Spliced {
  const { continuing } = speaker.dialect;
  if (continuing === undefined) throw new Error("it cannot be continued");
  const record = continuing.record();
  for (const one of [...speaker.begin(1), ...WORDS.map((word) => speaker.text(1, word))]) record.add(one);
  const cut = chooseCut(record, { minChars: 10, tail: 12, refusesTrailingSpace: continuing.refusesTrailingSpace });
  if (typeof cut === "string") throw new Error(cut);
  const told: StreamEvent[] = [];
  const next: EventSink = {
    push(one) {
      told.push(one);
      record.add(one);
    },
    flush: () => true,
    finish() {},
  };
  let accepted = false;
  const held = new HeldMemory();
  const station = new Splice({
    next,
    held: held.open(),
    leg: continuing.openLeg(record, { tokensBefore: cut.tokens, isWhole: false }),
    seam: { given: record.text, expected: cut.tail, echo: undefined, isSuspect: false },
    isCapped: false,
    accept() {
      accepted = true;
      return true;
    },
    ...options,
  });
  let refused: string | undefined;
  try {
    for (const one of leg(cut)) station.push(one, "content");
    station.finish();
  } catch (thrown) {
    refused = thrown instanceof Failure ? thrown.seam : String(thrown);
  }
  if (refused === undefined) expect(held.bytes).toBe(0);
  return { told, text: record.text, refused, accepted };
}

const whole = WORDS.join("") + REST.join("");

describe.each(SPEAKERS)("%s", (_name, speaker) => {
  test("goes on behind the tail, wherever the leg's events end in it", () => {
    for (let size = 1; size < 30; size++) {
      const { text, refused } = splice(speaker, ({ tail }) => {
        const pieces = (tail + REST.join("")).match(new RegExp(`.{1,${size}}`, "gs")) ?? [];
        return [...speaker.begin(2), ...pieces.map((piece) => speaker.text(2, piece)), ...speaker.end(2)];
      });
      expect({ text, refused }).toEqual({ text: whole, refused: undefined });
    }
  });

  test("must be the answer of the model that it is said to be, where another upstream makes it", () => {
    const leg = ({ tail }: Cut): StreamEvent[] => [
      ...speaker.begin(2),
      speaker.text(2, tail),
      ...REST.map((text) => speaker.text(2, text)),
      ...speaker.end(2),
    ];
    const named = /"model":"([^"]+)"/.exec(
      JSON.stringify(leg({ prefix: "", tail: "", tokens: 0, isTelling: true }).map(({ data }) => data)).replaceAll("\\", ""),
    )?.[1];
    const read: number[] = [];
    const onPromptTokens = (tokens: number): void => void read.push(tokens);
    expect(splice(speaker, leg, { model: named, onPromptTokens })).toMatchObject({ text: whole, refused: undefined });
    expect(read).toHaveLength(speaker === completionsSpeaker ? 0 : 1);
    expect(splice(speaker, leg, { model: "another" })).toMatchObject({ told: [], refused: "model", accepted: false });
  });

  test.each<[string, (cut: Cut) => string[], string]>([
    ["begins anew", () => WORDS, "tail"],
    ["leaves out the tail", () => REST, "tail"],
    ["says nothing", () => [], "tail"],
    ["stops in the tail", ({ tail }) => [tail.slice(0, -1)], "tail"],
    ["says the prefix again", ({ prefix, tail }) => [prefix, tail, ...REST], "tail"],
  ])("refuses a leg that %s, and tells nothing of it", (_what, leg, rule) => {
    const seen = splice(speaker, (cut) => [
      ...speaker.begin(2),
      ...leg(cut).map((text) => speaker.text(2, text)),
      ...speaker.end(2),
    ]);
    expect(seen).toMatchObject({ refused: rule, told: [], accepted: false, text: WORDS.join("") });
  });

  test("tells nothing of a leg that the run does not want any more", () => {
    const seen = splice(speaker, ({ tail }) => [speaker.text(2, tail), ...REST.map((text) => speaker.text(2, text))], {
      accept: () => false,
    });
    expect(seen.told).toEqual([]);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
const jsonOf = (events: readonly StreamEvent[]): any[] => events.map(({ data }) => JSON.parse(data));

describe("what names the answer", () => {
  test("is one id, time and model in a chat; its speaker is not named again", () => {
    const { told } = splice(chatSpeaker, ({ tail }) => [
      ...chatSpeaker.begin(2),
      chatSpeaker.text(2, tail),
      delta(2, { role: "assistant", content: REST[0] }),
      chatSpeaker.text(2, REST[1] ?? ""),
      ...chatSpeaker.end(2),
    ]);
    for (const json of jsonOf(told)) {
      expect(json).toMatchObject({ id: "chat-1", created: 101, model: "m-1" });
      expect(JSON.stringify(json)).not.toContain("role");
    }
    expect(jsonOf(told).at(-1).choices[0].finish_reason).toBe("stop");
  });

  test("is one message with one block in messages, whose tokens are those of both legs", () => {
    const { told } = splice(messagesSpeaker, ({ tail }) => [
      ...messagesSpeaker.begin(2),
      ...[tail, ...REST].map((text) => messagesSpeaker.text(2, text)),
      ...messagesSpeaker.end(2),
    ]);
    expect(told.map(({ event: name }) => name)).toEqual([
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
    ]);
    // Seven tokens of the second prompt are those that the first leg had made.
    expect(jsonOf(told).at(-1).usage).toEqual({ output_tokens: 12 });
  });
});

describe("messages whose events have names and no types, or types and no names", () => {
  test.each([
    [
      "no types",
      ({ event: name, data }: StreamEvent): StreamEvent => ({ event: name, data: data.replace(/"type":"[a-z]+_[^"]+",/, "") }),
    ],
    ["no names", ({ data }: StreamEvent): StreamEvent => ({ event: undefined, data })],
  ])("%s: the tail is swallowed all the same, and clients get both", (_what, change) => {
    const { told, text } = splice(messagesSpeaker, ({ tail }) =>
      [
        ...messagesSpeaker.begin(2),
        ...[tail, ...REST].map((piece) => messagesSpeaker.text(2, piece)),
        ...messagesSpeaker.end(2),
      ].map(change),
    );
    expect(text).toBe(whole);
    expect(told.map(({ event: name, data }) => name === JSON.parse(data).type)).toEqual(Array(told.length).fill(true));
    expect(JSON.stringify(told)).not.toContain("breaks");
  });
});

describe("an answer that must be JSON", () => {
  const leg =
    (rest: string, finish: string) =>
    ({ tail }: Cut): StreamEvent[] => [chatSpeaker.text(2, tail + rest), delta(2, {}, finish)];
  const said = '["One answer is made of words, and breaks here';

  test.each([
    ["ends as one", ' and goes on."]', "stop", undefined],
    ["ends as none", " and goes on.", "stop", "structured"],
    ["has no end for want of tokens", " and goes", "length", undefined],
  ])("%s", (_what, rest, finish, refused) => {
    const seam = { given: said, expected: "and breaks here", echo: undefined, isSuspect: false };
    const seen = splice(chatSpeaker, (cut) => leg(rest, finish)({ ...cut, tail: "and breaks here" }), { isJson: true, seam });
    expect(seen).toMatchObject({ accepted: true, refused });
    expect(JSON.stringify(seen.told).includes("stop")).toBe(finish === "stop" && refused === undefined);
  });
});

describe("what was counted", () => {
  const leg = ({ tail }: Cut): StreamEvent[] => [chatSpeaker.text(2, tail + REST.join("")), ...chatSpeaker.end(2)];

  test("is left out where the tokens of the first leg are not known", () => {
    expect(JSON.stringify(splice(chatSpeaker, leg).told)).not.toContain("usage");
  });

  test("is the first prompt, and the tokens of both, where they are known", () => {
    let made = 0;
    const counting: Speaker = {
      ...chatSpeaker,
      text: (n, content) =>
        chunk(n, [{ index: 0, delta: { content }, finish_reason: null }], {
          usage: { prompt_tokens: 4, completion_tokens: ++made, total_tokens: 4 + made },
        }),
    };
    const { told } = splice(counting, leg);
    // The prefix holds seven words; the second leg has made five tokens.
    expect(jsonOf(told).at(-1).usage).toEqual({ prompt_tokens: 4, completion_tokens: 12, total_tokens: 16 });
  });
});

describe("a leg that brings something else", () => {
  test.each<[string, object, string]>([
    ["a thought first", { reasoning_content: "Hm" }, "kind"],
    ["a tool call first", { tool_calls: [{ index: 0, function: { name: "f", arguments: "" } }] }, "kind"],
    ["a field of tomorrow first", { hologram: "x" }, "kind"],
  ])("%s is refused", (_what, value, rule) => {
    expect(splice(chatSpeaker, () => [delta(2, value)])).toMatchObject({ refused: rule, told: [] });
  });

  test("a second choice is refused, behind the seam too", () => {
    const second = chunk(2, [{ index: 1, delta: { content: "x" }, finish_reason: null }]);
    expect(splice(chatSpeaker, () => [second])).toMatchObject({ refused: "choices", told: [] });
    expect(splice(chatSpeaker, ({ tail }) => [chatSpeaker.text(2, tail), second])).toMatchObject({
      refused: "choices",
      told: [],
    });
  });

  test("a choice twice in a chunk is refused, whatever it says", () => {
    const twice = (content: string): StreamEvent =>
      chunk(
        2,
        [content.slice(0, 3), content.slice(3)].map((piece) => ({ index: 0, delta: { content: piece } })),
      );
    expect(splice(chatSpeaker, ({ tail }) => [twice(tail)])).toMatchObject({ refused: "choices", told: [] });
  });

  test("token ids are refused, since the tail's cannot be swallowed", () => {
    const leg = ({ tail }: Cut): StreamEvent[] => [chunk(2, [{ index: 0, delta: { content: tail }, token_ids: [1, 2] }])];
    expect(splice(chatSpeaker, leg)).toMatchObject({ refused: "kind", told: [] });
  });

  test.each([
    ["of a chat", chatSpeaker, [delta(2, {}, "stop")]],
    ["of a block", messagesSpeaker, [named("content_block_stop", { index: 0 }), named("content_block_start", TEXT_BLOCK)]],
  ])("an end %s within the tail is refused: the answer had none there", (_what, speaker, end) => {
    const leg = ({ tail }: Cut): StreamEvent[] => [
      ...speaker.begin(2),
      speaker.text(2, tail.slice(0, 4)),
      ...end,
      speaker.text(2, tail.slice(4) + REST.join("")),
    ];
    expect(splice(speaker, leg)).toMatchObject({ refused: "tail", told: [] });
  });

  test("a message is no piece: first it is refused, and behind the seam it goes on as it came", () => {
    const message = { role: "assistant", content: whole };
    const all = chunk(2, [{ index: 0, message, finish_reason: "stop" }]);
    expect(splice(chatSpeaker, () => [all])).toMatchObject({ refused: "kind", told: [] });
    const { told, text } = splice(chatSpeaker, ({ tail }) => [chatSpeaker.text(2, tail + REST.join("")), all]);
    expect(text).toBe(whole);
    expect(jsonOf(told).at(-1).choices).toEqual([{ index: 0, message, finish_reason: "stop" }]);
    // All so far, beside each piece.
    const beside = (content: string): StreamEvent => chunk(2, [{ index: 0, delta: { content }, message, finish_reason: null }]);
    const seen = splice(chatSpeaker, ({ tail }) => [...[tail, ...REST].map(beside), ...chatSpeaker.end(2)]);
    expect(seen.text).toBe(whole);
    expect(JSON.stringify(seen.told)).not.toContain("breaks");
  });

  test("a role token behind the seam is refused before it is told", () => {
    const seen = splice(chatSpeaker, ({ tail }) => [chatSpeaker.text(2, tail), chatSpeaker.text(2, " so<|im_end|>")]);
    expect(seen).toMatchObject({ refused: "role-token", accepted: true, text: WORDS.join("") });
  });

  test("an end for want of tokens is not told where the leg had fewer than the client asked for", () => {
    const leg = ({ tail }: Cut): StreamEvent[] => [chatSpeaker.text(2, tail + REST[0]), delta(2, {}, "length")];
    expect(splice(chatSpeaker, leg, { isCapped: true })).toMatchObject({ refused: "max-tokens", accepted: true });
    expect(jsonOf(splice(chatSpeaker, leg).told).at(-1).choices[0].finish_reason).toBe("length");
  });
});
