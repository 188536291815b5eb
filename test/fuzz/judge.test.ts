/** The fuzz is worth what its judge sees: here it is given what must not pass, and what must. */
import { expect, test } from "vitest";
import type { Case } from "./case.ts";
import { judge } from "./judge.ts";
import { makeCase } from "./make-case.ts";
import { mutate } from "./mutations.ts";
import { createRandom } from "./random.ts";

const chunk = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const DONE = "data: [DONE]\n\n";
const ERROR = 'data: {"error":{"code":"stream_truncated","message":"no"}}\n\n';

function verdict(upstream: string, client: string, { end = "clean", status = 200, more = {} as Partial<Case> } = {}): string {
  const played: Case = {
    dialect: "chat",
    choices: 1,
    body: Buffer.from(upstream, "latin1"),
    splits: [],
    framing: "chunked",
    end: "clean",
    done: [],
    ...more,
  };
  return judge(played, { status, body: Buffer.from(client, "latin1"), end: end as "clean" })?.kind ?? "right";
}

const whole = chunk("a") + chunk("", "stop");

test.each([
  ["a whole stream that arrives whole", whole + DONE, whole + DONE, "right"],
  ["a terminator that was supplied", whole, whole + DONE, "right"],
  ["a cut that is told", chunk("a"), chunk("a") + ERROR, "right"],
  ["a cut that is not told", chunk("a"), chunk("a"), "a silent truncation: no terminator"],
  ["an invented end", chunk("a"), chunk("a") + DONE, "called whole in spite of: a choice without a finish"],
  ["text that is not the upstream's", whole, chunk("b") + chunk("", "stop") + DONE, "whole, but not the upstream's events"],
  ["text twice", whole, chunk("a") + whole + DONE, "whole, but not the upstream's events"],
  ["a part that is not the beginning", chunk("a"), chunk("b") + ERROR, "the part is not the beginning of the answer"],
  ["a whole stream that is refused", whole + DONE, chunk("a") + ERROR, "a whole stream was refused (stream_truncated)"],
  ["something behind the error", chunk("a"), ERROR + DONE, "something follows the error event"],
  ["half an event", chunk("a"), chunk("a").slice(0, -1), "the client got half an event"],
  [
    "a lost piece",
    `ta: ${chunk("a")}${whole}`,
    whole + DONE,
    "called whole in spite of: debris of JSON on a line that is no event",
  ],
  ["an object of no part, under a name that is nearly one", `datA: {"type":"ping"}\n\n${whole}`, whole + DONE, "right"],
  [
    "a piece under such a name",
    `datA: ${chunk("a").slice(6)}${whole}`,
    whole + DONE,
    "called whole in spite of: debris of JSON on a line that is no event",
  ],
  ["more after a finish, then a bare terminator", `${whole}${chunk("b")} [DONE]\n\n`, whole + chunk("b") + DONE, "right"],
  [
    "more after a bare terminator",
    `${whole}[DONE]\n\n${chunk("b")}`,
    whole + chunk("b") + DONE,
    "called whole in spite of: more after a finish",
  ],
  [
    "more after a finish, then what is left of a terminator",
    `${whole}${chunk("b")}ONE]\n\n`,
    whole + chunk("b") + DONE,
    "called whole in spite of: more after a finish",
  ],
  ["a comment, and words that are nothing", `: hi\n\nhello\n\n${whole}`, whole + DONE, "right"],
])("%s", (_name, upstream, client, expected) => {
  expect(verdict(upstream, client)).toBe(expected);
});

test("a cut of the connection without a word is no way to end", () => {
  expect(verdict(chunk("a"), chunk("a"), { end: "cut" })).toBe("a cut without an error event");
  expect(verdict(chunk("a"), "", { end: "open" })).toBe("the client waits for ever");
});

test("the same seed and number make the same case, and most of them are broken", () => {
  expect(makeCase(7, 3)).toEqual(makeCase(7, 3));
  const bodies = Array.from({ length: 200 }, (_, number) => makeCase(7, number));
  expect(bodies.filter(({ done }) => done.length > 0).length).toBeGreaterThan(120);
  expect(new Set(bodies.map(({ dialect }) => dialect)).size).toBe(6);
});

test("mutations say what they did", () => {
  const random = createRandom(1);
  for (let i = 0; i < 200; i++) {
    const { bytes, done } = mutate(Buffer.from(whole), random);
    if (done === undefined) expect(bytes.toString()).toBe(whole);
  }
});
