/** The judge itself: byte streams made by hand, and what a client makes of each. */
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../support/raw-upstream.ts";
import { type Answer, addChoices, emptyAnswer } from "./answer.ts";
import type { Seen } from "./ask.ts";
import { readEvents } from "./events.ts";
import { judge } from "./judge.ts";

const WORDS = ["Wer reitet", " so spät", " durch Nacht", " und Wind?"];
const WHOLE = chatEvents(WORDS).join("");
const CUT = chatEvents(WORDS.slice(0, 2), { finish: null, done: false }).join("");
const DONE = "data: [DONE]\n\n";

function answerOf(...choices: object[]): Answer {
  const answer = emptyAnswer();
  addChoices(answer, { choices });
  return answer;
}

const RIGHT = answerOf({ index: 0, message: { role: "assistant", content: WORDS.join("") }, finish_reason: "stop" });

function seen(body: string | Buffer, more: Partial<Seen> = {}): Seen {
  return {
    status: 200,
    headers: { "content-type": "text/event-stream" },
    body: Buffer.from(body as string),
    end: "clean",
    ...more,
  };
}

const streamed = (body: string | Buffer, more?: Partial<Seen>, rights = [RIGHT]) =>
  judge(seen(body, more), { streamed: true, rights });
const plain = (body: string, more?: Partial<Seen>) =>
  judge(seen(body, { headers: { "content-type": "application/json" }, ...more }), { streamed: false, rights: [RIGHT] });
const delta = (fields: object, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: fields, finish_reason }] })}\n\n`;

describe("a whole answer", () => {
  test.each([
    ["as it should be", WHOLE],
    ["with CRLF", WHOLE.replaceAll("\n", "\r\n")],
    ["with CR", WHOLE.replaceAll("\n", "\r")],
    ["after a byte order mark", `\uFEFF${WHOLE}`],
    ["between comments", WHOLE.replaceAll("data:", ": ping\n\ndata:")],
  ])("%s", (_, body) => {
    expect(streamed(body)).toEqual({ verdict: "whole", detail: "100 % of the answer", breaches: [] });
  });

  test("whose tool call says its type with each piece", () => {
    const call = (fields: object) => delta({ tool_calls: [{ index: 0, type: "function", function: fields }] });
    const right = answerOf({
      message: { tool_calls: [{ index: 0, type: "function", function: { name: "f", arguments: "{}" } }] },
      finish_reason: "tool_calls",
    });
    const body =
      call({ name: "f", arguments: "" }) + call({ arguments: "{" }) + call({ arguments: "}" }) + delta({}, "tool_calls") + DONE;
    expect(streamed(body, {}, [right]).verdict).toBe("whole");
  });

  test("compressed", () => {
    const headers = { "content-type": "text/event-stream", "content-encoding": "gzip" };
    expect(streamed(gzipSync(WHOLE), { headers }).verdict).toBe("whole");
  });

  test("without [DONE] is whole, but breaks Perennial's contract", () => {
    expect(streamed(WHOLE.replace(DONE, ""))).toMatchObject({ verdict: "whole", breaches: ["no terminator"] });
  });

  test("not streamed", () => {
    expect(plain(chatAnswer(WORDS.join("")))).toEqual({ verdict: "whole", detail: "100 % of the answer", breaches: [] });
  });
});

describe("silent truncation", () => {
  test.each([
    ["nothing at all", ""],
    ["comments only", ": keep-alive\n\n"],
    ["[DONE] only", DONE],
    ["a clean end in the middle", CUT],
    ["[DONE] in the middle", CUT + DONE],
    ["a finish_reason made up after half the text", `${CUT}${delta({}, "stop")}${DONE}`],
    ["all the text, and no finish_reason", chatEvents(WORDS, { finish: null }).join("")],
    ["finish_reason abort", `${chatEvents(WORDS, { finish: "abort" }).join("")}`],
    ["a last event without its blank line", WHOLE.slice(0, WHOLE.lastIndexOf("\n\ndata: {"))],
    ["FastChat's error", `${CUT}data: {"text":"out of memory","error_code":50002}\n\n${DONE}`],
    ["the flat error of older vLLM", `${CUT}data: {"object":"error","message":"out of memory","code":500}\n\n${DONE}`],
    ["an `error:` line", `${CUT}error: {"code":500,"message":"out of memory"}\n\n`],
    ["a JSON error where a stream was asked for", '{"error":{"message":"no"}}'],
    ["a whole JSON answer where a stream was asked for", chatAnswer(WORDS.join(""))],
    ["a web page", "<!doctype html>\n<h1>Sign in</h1>\n"],
  ])("%s", (_, body) => {
    expect(streamed(body).verdict).toBe("silent truncation");
  });

  test.each([
    ["an empty 200", ""],
    ["blank lines", "\n\n\n"],
    ["null", "null"],
    ["an error in a 200", '{"error":{"message":"no"}}'],
    ["half the text, finished", chatAnswer(WORDS[0] ?? "")],
    ["all the text, unfinished", chatAnswer(WORDS.join(""), null)],
  ])("not streamed: %s", (_, body) => {
    expect(plain(body).verdict).toBe("silent truncation");
  });

  test("a choice that never came", () => {
    const two = answerOf(
      { index: 0, message: { content: "a" }, finish_reason: "stop" },
      { index: 1, message: { content: "b" }, finish_reason: "stop" },
    );
    expect(streamed(delta({ content: "a" }, "stop") + DONE, {}, [two]).verdict).toBe("silent truncation");
  });

  test("reasoning that was lost, though the text is all there", () => {
    const right = answerOf({ message: { content: "Ja.", reasoning_content: "Hm." }, finish_reason: "stop" });
    expect(streamed(delta({ content: "Ja." }, "stop") + DONE, {}, [right]).verdict).toBe("silent truncation");
  });

  test("a tool call that lacks the end of its arguments", () => {
    const call = (text: string) => [{ index: 0, id: "call_1", type: "function", function: { name: "f", arguments: text } }];
    const right = answerOf({ message: { content: null, tool_calls: call('{"a":1}') }, finish_reason: "tool_calls" });
    const more = (text: string) => delta({ tool_calls: [{ index: 0, function: { arguments: text } }] });
    const begun = delta({ tool_calls: call("") }) + more('{"a"');
    expect(streamed(begun + delta({}, "tool_calls") + DONE, {}, [right]).verdict).toBe("silent truncation");
    expect(streamed(begun + more(":1}") + delta({}, "tool_calls") + DONE, {}, [right]).verdict).toBe("whole");
  });
});

describe("an error that is told", () => {
  const error = (code: unknown) => `data: ${JSON.stringify({ error: { message: "cut", code } })}\n\n`;

  test("an error event", () => {
    expect(streamed(CUT + error("stream_truncated"))).toEqual({
      verdict: "typed error",
      detail: "stream_truncated",
      breaches: [],
    });
  });

  test.each([
    ["has no code", CUT + error(null), "an error without a code"],
    ["is followed by [DONE]", CUT + error("x") + DONE, "goes on after its end"],
    ["has a named event", `${CUT}event: error\n${error("x")}`, 'has a line "event:"'],
    ["is followed by half an event", `${CUT}${error("x")}data: {"cho`, "ends in the middle of an event"],
  ])("breaks Perennial's contract when it %s", (_, body, breach) => {
    expect(streamed(body)).toMatchObject({ verdict: "typed error", breaches: [breach] });
  });

  test("an HTTP error, with and without a reason", () => {
    expect(streamed('{"error":{"code":"stream_stalled"}}', { status: 504 })).toMatchObject({
      verdict: "typed error",
      detail: "HTTP 504 stream_stalled",
    });
    expect(plain("<h1>502 Bad Gateway</h1>", { status: 502 }).verdict).toBe("bare status");
  });
});

test("what broke the connection is noticed", () => {
  expect(streamed(CUT, { end: "cut" }).verdict).toBe("transport error");
  expect(streamed("", { status: undefined, end: "cut" }).verdict).toBe("transport error");
  expect(plain('{"choi', { end: "cut" }).verdict).toBe("transport error");
});

test("what never ends is a hang, even after [DONE]", () => {
  expect(streamed(CUT, { end: "open" }).verdict).toBe("hang");
  expect(streamed(WHOLE, { end: "open" }).verdict).toBe("hang");
  expect(streamed("", { status: undefined, end: "open" }).verdict).toBe("hang");
});

test.each([
  ["half an object", `${CUT}data: {"choices":[{"del\n\n${DONE}`],
  ["[ERROR]", `${CUT}data: [ERROR] out of memory\n\n`],
])("an event that does not parse is torn: %s", (_, body) => {
  expect(streamed(body).verdict).toBe("torn event");
});

test("JSON that does not parse is torn", () => {
  expect(plain('{"choices":[{"message"').verdict).toBe("torn event");
});

test.each([
  ["repeated", [...WORDS.slice(0, 2), ...WORDS]],
  ["out of order", [WORDS[1] ?? "", WORDS[0] ?? ""]],
  ["with a hole", [WORDS[0] ?? "", WORDS[2] ?? ""]],
  ["with more after its end", [...WORDS, " Es ist"]],
  ["spoiled", ["Wer reitet so sp\uFFFDt"]],
])("text %s is wrong, whatever follows", (_, words) => {
  expect(streamed(chatEvents(words).join("")).verdict).toBe("wrong text");
  expect(streamed(`${chatEvents(words, { finish: null, done: false }).join("")}data: {"error":{"code":"x"}}\n\n`).verdict).toBe(
    "wrong text",
  );
});

test("the reader of events follows the standard", () => {
  expect(readEvents("data: a\ndata:b\r\n\r\n:c\n\nid: 1\ndata\n\ndata: torn")).toEqual({
    data: ["a\nb", ""],
    fields: new Set(["data", "id"]),
    unfinished: "data: torn",
  });
});
