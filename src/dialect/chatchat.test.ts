/** Chatchat's streams, event by event: what is content, and whether the end of the body was the end of the answer. */
import { describe, expect, test } from "vitest";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import { chatchat, chatchatAgent, chatchatCompletions, chatchatWords } from "./chatchat.ts";
import { openAiChat } from "./openai-chat.ts";

const CUT = new Failure("stream_truncated", "the connection was cut");
const request = openAiChat.parseRequest({ messages: [], stream: true });

interface Case {
  readonly events: readonly (object | string)[];
  /** One for each event, in its first letter; a failure by its code. @defaultValue all meta */
  readonly verdicts?: string;
  readonly cause?: Failure;
  readonly torn?: boolean;
  readonly acceptEmpty?: boolean;
  /** Lines that are no events, behind the events. */
  readonly stray?: readonly string[];
  /** `whole`, or the code and the message of the failure. */
  readonly end: string;
  readonly warning?: string;
}

function judge(dialect: Dialect, { events, cause, torn = false, acceptEmpty = false, stray = [] }: Case) {
  const inspector = dialect.inspectStream(request);
  const verdicts = events.map((one) => {
    const data = typeof one === "string" ? one : JSON.stringify(one);
    const judged = inspector.onEvent({
      event: data.startsWith("error!") ? "error" : undefined,
      data: data.replace(/^error!/, ""),
    });
    return judged instanceof Failure
      ? ` ${judged.code}: ${judged.message}${judged.upstreamMessage ? ` (${judged.upstreamMessage})` : ""} `
      : judged[0];
  });
  for (const line of stray) inspector.onStrayLine(line);
  const end = inspector.onEnd({ terminated: false, cause, torn, requireTerminator: false, acceptEmpty });
  return {
    verdicts: verdicts.join(""),
    end: end === undefined ? "whole" : `${end.code}: ${end.message}${end.formallyWhole ? " (formally whole)" : ""}`,
    warning: inspector.warning,
    characters: inspector.characters,
  };
}

const NO_TEXT = "empty_stream: Chatchat answered 200 and sent no text";
const UNFINISHED = "stream_truncated: Chatchat ended its stream before its answer had finished";
const WAS_CUT = `${CUT.code}: ${CUT.message}`;
const NO_EVENTS = "empty_stream: Chatchat sent no events but something else, as releases before 0.2.10 do";
const chunk = (delta: object, finish_reason: unknown = null, more: object = {}) => ({
  choices: [{ index: 0, delta, finish_reason }],
  ...more,
});

describe("its native routes (0.2)", () => {
  test.each<[string, Case]>([
    [
      "text, and a clean end",
      { events: [{ text: "Hi" }, { answer: " there" }, { content: "!" }], verdicts: "ccc", end: "whole" },
    ],
    [
      "what it has found is no text",
      { events: [{ docs: ["a"] }, { text: "" }, { answer: "Hi" }], verdicts: "mmc", end: "whole" },
    ],
    ["nothing", { events: [], end: NO_TEXT }],
    ["what it has found alone", { events: [{ docs: ["a"] }], verdicts: "m", end: NO_TEXT }],
    ["nothing, and a cut", { events: [], cause: CUT, end: WAS_CUT }],
    ["text, and a cut", { events: [{ text: "Hi" }], verdicts: "c", cause: CUT, end: WAS_CUT }],
    ["text, cut within an event", { events: [{ text: "Hi" }], verdicts: "c", torn: true, end: UNFINISHED }],
    ["no events but something else", { events: [], torn: true, end: NO_EVENTS }],
    [
      "blanks, null and its model server's end",
      { events: ["", " ", "null", "[]", "[DONE]", { text: "Hi" }], verdicts: "iiiiic", end: "whole" },
    ],
    ["an error by its name", { events: ['error!{"detail":"no"}'], verdicts: " upstream_error_event: ", end: NO_TEXT }],
    ["an error in a line", { events: ["[ERROR] no"], verdicts: " upstream_error_event: ", end: NO_TEXT }],
    ["an error in JSON", { events: [{ code: 500, msg: "no" }], verdicts: " upstream_error_event: ", end: NO_TEXT }],
    [
      "words that are no event of these routes",
      { events: ["Hi"], verdicts: " stream_corrupted: the upstream sent an event that is not a JSON object ", end: NO_TEXT },
    ],
    [
      "a choice of its model",
      { events: [chunk({ role: "assistant" }), chunk({ content: "Hi" }), chunk({}, "stop")], verdicts: "mcm", end: "whole" },
    ],
    ["a choice that failed", { events: [chunk({}, "error")], verdicts: " upstream_error_event: ", end: NO_TEXT }],
    [
      "a choice that ended in a word of its own",
      { events: [chunk({ content: "Hi" }, "odd")], verdicts: "c", end: "whole", warning: "odd" },
    ],
    [
      "text behind a finish, and a clean end",
      { events: [chunk({ content: "a" }, "stop"), { text: "b" }], verdicts: "cc", end: "whole" },
    ],
    ["a finish without text, where that will do", { events: [chunk({}, "stop")], acceptEmpty: true, end: "whole" }],
    ["a finish without text", { events: [chunk({}, "stop")], end: `${NO_TEXT} (formally whole)` }],
    [
      "a line that is no event, behind text",
      {
        events: [{ text: "Hi" }],
        verdicts: "c",
        stray: ["Traceback (most recent call last):"],
        end: "stream_corrupted: Chatchat sent a line that is no event",
      },
    ],
  ])("%s", (_what, it) => {
    const got = judge(chatchat, it);
    expect(got.verdicts).toContain(it.verdicts ?? "m".repeat(it.events.length));
    expect(got.end).toBe(it.end);
    expect(String(got.warning)).toContain(it.warning ?? "undefined");
  });

  test("characters are those of its text, wherever its version puts it", () => {
    const events = [
      { text: "a" },
      { answer: "bc" },
      { final_answer: "d" },
      { content: "e" },
      chunk({ role: "assistant", content: "fg", reasoning_content: "h" }),
    ];
    expect(judge(chatchat, { events, end: "" }).characters).toBe(8);
  });
});

describe("words as events (/other/completion)", () => {
  test.each<[string, Case, number]>([
    ["words, numbers too", { events: ["Hi", "42", "null", ""], verdicts: "ccci", end: "whole" }, 8],
    ["objects as well", { events: ["Hi", { text: "!" }], verdicts: "cc", end: "whole" }, 3],
    ["an error among them", { events: ["Hi", { error: "no" }], verdicts: "c upstream_error_event: ", end: "whole" }, 2],
    ["and none", { events: [""], verdicts: "i", end: NO_TEXT }, 0],
  ])("%s", (_what, it, characters) => {
    const got = judge(chatchatWords, it);
    expect(got.verdicts.slice(0, it.verdicts?.length)).toBe(it.verdicts);
    expect([got.end, got.characters]).toEqual([it.end, characters]);
  });
});

describe("an agent (0.2)", () => {
  test.each<[string, Case]>([
    ["its last word", { events: [{ answer: "thinks" }, { final_answer: "Hi" }], verdicts: "cc", end: "whole" }],
    ["an empty last word", { events: [{ answer: "thinks" }, { final_answer: "" }], verdicts: "cm", end: "whole" }],
    ["none", { events: [{ answer: "thinks" }], verdicts: "c", end: UNFINISHED }],
    ["an answer at once that has none", { events: [{ answer: "thinks", final_answer: "" }], verdicts: "c", end: UNFINISHED }],
    ["an answer at once", { events: [{ answer: "thinks", final_answer: "Hi" }], verdicts: "c", end: "whole" }],
    ["its last word, and a cut", { events: [{ final_answer: "Hi" }], verdicts: "c", cause: CUT, end: WAS_CUT }],
    ["its tools alone", { events: [{ tools: ["x"] }], end: NO_TEXT }],
  ])("%s", (_what, it) => {
    const got = judge(chatchatAgent, it);
    expect([got.verdicts, got.end]).toEqual([it.verdicts ?? "m".repeat(it.events.length), it.end]);
  });
});

describe("its OpenAI-like routes (0.3)", () => {
  const agent = (status: number, more: object = {}) => ({ status, choices: [{ index: 0, delta: more }] });
  test.each<[string, Case]>([
    [
      "a model's own chunks",
      { events: [chunk({ role: "assistant" }), chunk({ content: "Hi" }), chunk({}, "stop")], verdicts: "mcm", end: "whole" },
    ],
    [
      "the same, and a cut behind them",
      {
        events: [chunk({ content: "Hi" }), chunk({}, "stop")],
        verdicts: "cm",
        cause: CUT,
        end: "whole",
        warning: "behind the end",
      },
    ],
    ["the same without a finish", { events: [chunk({ content: "Hi" })], verdicts: "c", end: "stream_truncated" }],
    ["an agent that finishes", { events: [agent(1), agent(3, { content: "Hi" }), agent(5)], verdicts: "mcm", end: "whole" }],
    ["an agent that does not", { events: [agent(3, { content: "Hi" })], verdicts: "c", end: UNFINISHED }],
    [
      "an agent that is cut behind its finish",
      {
        events: [agent(3, { content: "Hi" }), agent(5)],
        verdicts: "cm",
        cause: CUT,
        end: "whole",
        warning: "behind the end of the answer: the connection was cut",
      },
    ],
    [
      "an agent that goes on behind its finish, and is cut",
      { events: [agent(5, { content: "a" }), agent(3, { content: "b" })], verdicts: "cc", cause: CUT, end: WAS_CUT },
    ],
    [
      "an agent that goes on behind its finish, and ends cleanly",
      { events: [agent(5, { content: "a" }), agent(3, { content: "b" })], verdicts: "cc", end: "whole" },
    ],
    [
      "an agent that fails",
      {
        events: [agent(-1, { content: "no tool" })],
        verdicts: "no tool",
        end: "empty_stream: the upstream answered 200 and sent no",
      },
    ],
    [
      "an agent that fails without a word",
      { events: [{ status: -1 }], verdicts: "the agent failed", end: "empty_stream: the upstream answered 200 and sent no" },
    ],
    [
      "a tool that answers by itself",
      { events: [{ is_ref: false, tool_output: "42", content: "42" }], verdicts: "c", end: "whole" },
    ],
    [
      "events that say is_ref: false without a meaning",
      { events: [{ ...agent(3, { content: "Hi" }), is_ref: false, tool_output: null }], verdicts: "c", end: UNFINISHED },
    ],
    ["an agent that finishes without a word, where that will do", { events: [agent(5)], acceptEmpty: true, end: "whole" }],
    ["an agent that finishes without a word", { events: [agent(5)], end: `${NO_TEXT} (formally whole)` }],
  ])("%s", (_what, it) => {
    const got = judge(chatchatCompletions, it);
    expect(got.verdicts).toContain(it.verdicts ?? "m".repeat(it.events.length));
    expect(got.end.slice(0, it.end.length)).toBe(it.end);
    expect(String(got.warning)).toContain(it.warning ?? "undefined");
  });

  test("what an agent did on its way is no message, a model's chunks are; an answer without choices is no stream", () => {
    const joined = (events: readonly object[]) =>
      chatchatCompletions.eventsToAnswer(
        events.map((json) => ({ event: undefined, data: JSON.stringify(json) })),
        request,
      );
    expect(joined([agent(3, { content: "Hi" })])).toBeUndefined();
    expect(joined([chunk({ content: "Hi" }), chunk({}, "stop")])).toMatchObject({
      choices: [{ message: { content: "Hi" }, finish_reason: "stop" }],
    });
    for (const [answer, is] of [
      [{ text: "Hi" }, false],
      ["Hi", false],
      [{ choices: [{ message: { content: "Hi" }, finish_reason: "stop" }] }, true],
    ] as const)
      expect(chatchatCompletions.answerToEvents(answer, request) !== undefined).toBe(is);
  });
});

test("a request of its own names the model in its own way, and is always a stream", () => {
  const parsed = (body: object) => chatchat.parseRequest({ ...body, stream: false });
  expect(parsed({ model_name: "theirs", model: "m" })).toMatchObject({ model: "theirs", stream: true, choices: 1 });
  expect(parsed({ model: "m", n: 3 })).toMatchObject({ model: "m", choices: 1 });
  expect(parsed({ model_name: 7 }).model).toBeUndefined();
});
