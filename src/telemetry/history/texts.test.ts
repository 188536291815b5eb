import { expect, it } from "vitest";
import type { Exchange } from "../../core/exchange.ts";
import { createTexts } from "./texts.ts";

function exchange(id: string, body: unknown): Exchange {
  return { id, request: { body: typeof body === "string" ? Buffer.from(body) : Buffer.from(JSON.stringify(body)) } } as Exchange;
}
const says = (content: string, key = "content") => ({
  event: undefined,
  id: undefined,
  data: JSON.stringify({ choices: [{ delta: { [key]: content } }] }),
});
const asking = (...contents: string[]): object => ({ messages: contents.map((content) => ({ role: "user", content })) });

it("keeps what was asked, and the answer as it grows, by kind", () => {
  const texts = createTexts();
  const watch = texts.begin(exchange("a", asking("Why?")));
  watch.event(says("hm", "reasoning_content"));
  watch.event(says("Hello"));
  watch.event(says(" world"));
  expect(texts.find("a")).toEqual({
    prompt: [{ role: "user", text: "Why?", leftOut: 0 }],
    promptLeftOut: 0,
    answer: [
      { kind: "reasoning", text: "hm" },
      { kind: "text", text: "Hello world" },
    ],
    leftOut: 0,
    end: "",
  });
  texts.begin(exchange("b", asking("Why?"))).whole(Buffer.from('{"choices":[{"message":{"content":"Hi"}}]}'));
  expect(texts.find("b")?.answer).toEqual([{ kind: "text", text: "Hi" }]);
  expect(texts.find("c")).toBeUndefined();
});

it("keeps the beginning and the end of a long answer, and the last messages of a long prompt", () => {
  const texts = createTexts();
  const watch = texts.begin(exchange("a", asking("old".repeat(9_000), "x".repeat(9_000), "y".repeat(9_000))));
  watch.event(says("b".repeat(20_000)));
  for (let n = 0; n < 50; n++) watch.event(says("m".repeat(1_000)));
  watch.event(says("the end"));
  const { prompt = [], promptLeftOut, answer, leftOut = 0, end = "" } = texts.find("a") ?? {};
  expect(prompt.map(({ text, leftOut }) => [text[0], text.length, leftOut])).toEqual([
    ["x", 8_192, 808],
    ["y", 8_192, 808],
  ]);
  expect([promptLeftOut, answer?.[0]?.text.length, end.length, end.slice(-8)]).toEqual([1, 12_288, 4_096, "mthe end"]);
  expect(12_288 + leftOut + 4_096).toBe(70_007);
});

it("is bounded: the oldest are forgotten, also one that still runs", () => {
  const texts = createTexts();
  const oldest = texts.begin(exchange("oldest", asking("Why?")));
  for (let n = 0; n < 600; n++) texts.begin(exchange(`${n}`, asking("x".repeat(8_192), "y".repeat(8_192))));
  oldest.event(says("more"));
  expect([texts.find("oldest"), texts.find("0"), texts.find("599")?.prompt.length]).toEqual([undefined, undefined, 2]);
  let kept = 0;
  for (let n = 0; n < 600; n++) if (texts.find(`${n}`) !== undefined) kept++;
  expect(kept * 16_384).toBeLessThanOrEqual(4 * 1024 ** 2);
});

it("is not hurt by what makes no sense", () => {
  const texts = createTexts();
  const watch = texts.begin(exchange("a", "{"));
  watch.event({ ...says("x"), data: '{"content":'.repeat(9) });
  watch.whole(Buffer.from(`${'{"content":[{"content":'.repeat(20_000)}0${"}]}".repeat(20_000)}`));
  expect(texts.find("a")).toMatchObject({ prompt: [], answer: [] });
});
