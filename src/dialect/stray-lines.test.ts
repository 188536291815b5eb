/** Lines of a stream that are no events: which are harmless, which are errors, and which are pieces of an answer that were lost. */
import { describe, expect, test } from "vitest";
import { findOpenAiError } from "./openai-error.ts";
import { StrayLines } from "./stray-lines.ts";

const LOST = "stream_corrupted";
const ERROR = "upstream_error_event";

/** What each line comes to, and the end behind them; `-` for nothing. */
function read(lines: readonly string[], isPartName?: (name: string) => boolean) {
  const stray = new StrayLines({
    findError: findOpenAiError,
    isPart: ({ choices }) => choices !== undefined,
    ...(isPartName && { isPartName }),
  });
  const said = lines.map((line) => stray.read(line)?.code ?? "-");
  const { hasText, hasDone, status } = stray;
  return { said: [...said, stray.close()?.code ?? "-"], hasText, hasDone, status };
}

describe("one line", () => {
  test.each<[string, string, string?, boolean?]>([
    ["words", "INFO: 200 OK"],
    ["a list that is none", "[INFO] model loaded"],
    ["an object of a server's own", '{"level":"info"}'],
    ["a list of such objects", '[{"level":"info"}]'],
    ["a comment", ": keep-alive", "-", false],
    ["an object in a comment", ': {"level":"info"}', "-", false],
    ["what comments say is half an object", ": {", "-", false],
    ["an error", '{"error":{"message":"no"}}', ERROR],
    ["an error among others", '[{"level":"info"},{"error":"no"}]', ERROR],
    ["an error as a field", "error: out of memory", ERROR],
    ["an error in a comment", ': {"error":"no"}', ERROR, false],
    ["an event that is nearly one", 'Data: {"choices":[]}', LOST],
    ["an event without its field", '{"choices":[]}', LOST],
    ["an event in a comment", ': {"choices":[]}', LOST, false],
    ["a list with a part", '[1,{"choices":[]}]', LOST],
    ["the end of an object", '"finish_reason":null}]}', LOST],
    ["a brace", "}", LOST],
    ["a key", 'content": "Hi', LOST],
    ["the end of a text", 'there",', LOST],
    ["the end of a text in a comment", ': there"', LOST, false],
  ])("%s: %j", (_what, line, said = "-", hasText = true) => {
    expect(read([line])).toEqual({ said: [said, "-"], hasText, hasDone: false, status: undefined });
  });
});

describe("what says the end", () => {
  test.each<[string, boolean, boolean]>([
    ["[DONE]", true, false],
    ["data [DONE]", false, true],
    ["DATA: [DONE] ", true, false],
    [": [DONE]", false, false],
    ["DONE]", false, true],
    ["NE]", false, true],
    ["ata: [DONE]", false, true],
    ["]", false, true],
  ])("%j: it is one %s, it is text %s; and no piece of an answer", (line, hasDone, hasText) => {
    expect(read([line])).toEqual({ said: ["-", "-"], hasText, hasDone, status: undefined });
  });
});

describe("the status of an event, in a comment before it", () => {
  test.each<[string, number | undefined]>([
    [":HTTP_STATUS/200", undefined],
    [": HTTP_STATUS/429", 429],
    [":HTTP_STATUS/400", 400],
    [":HTTP_STATUS/399", undefined],
    [":HTTP_STATUS/4290", undefined],
  ])("%j is %s", (line, status) => {
    expect(read([line])).toEqual({ said: ["-", "-"], hasText: false, hasDone: false, status });
    expect(read([":HTTP_STATUS/500", line]).status).toBe(line.includes("4290") ? 500 : status);
  });
});

describe("an event that has nothing but a name", () => {
  test.each([
    ["event: ping", "-"],
    ["event: error", ERROR],
    ["event: part.one", LOST],
    ['event: "x":', LOST],
  ])("%j: %s", (line, said) => {
    expect(read([line], (name) => name.startsWith("part.")).said).toEqual([said, "-"]);
  });

  test("ends what was begun before it", () => {
    expect(read(["{", "event: ping"]).said).toEqual(["-", LOST, "-"]);
  });
});

describe("an object over several lines", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["of a server's own", ["{", '  "level": "info"', "}"], ["-", "-", "-", "-"]],
    ["that is an error", ["{", '  "error": "no"', "}"], ["-", "-", ERROR, "-"]],
    ["that is a list with one", ["[{", '"error":"no"', "}]"], ["-", "-", ERROR, "-"]],
    ["that is a part of the answer", ['{"choices":', "[]", "}"], ["-", "-", LOST, "-"]],
    ["whose last line is missing", ["{", '"error": "no"'], ["-", "-", ERROR]],
    ["of a server's own, whose last line is missing", ["{", '"level": "info"'], ["-", "-", "-"]],
    ["that is a list whose last line is missing", ["[{", '"error": "no"'], ["-", "-", ERROR]],
    ["of which there is a brace", ["{"], ["-", LOST]],
    ["that is cut", ["{", '"error": "n'], ["-", "-", LOST]],
    ["with another in it", ["{", '"a": {', '"b": 1}', ',"error": "no"', "}"], ["-", "-", "-", "-", ERROR, "-"]],
    ["and one behind it", ["{", "}", "{", '"error": "no"', "}"], ["-", "-", "-", "-", ERROR, "-"]],
    ["with what alone would be words, or an end", ["{", '"a": 1,', "[DONE]"], ["-", "-", "-", LOST]],
  ])("%s", (_what, lines, said) => {
    expect(read(lines).said).toEqual(said);
  });

  test("is kept up to a limit: more of it is a piece of the answer, whatever it says", () => {
    const filler = `"${"x".repeat(16_380)}",`;
    expect(read(["{", filler.slice(0, 16_382)]).said.at(1)).toBe("-");
    expect(read(["{", filler]).said.at(1)).toBe(LOST);
  });
});
