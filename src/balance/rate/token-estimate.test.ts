import { expect, test } from "vitest";
import { AnswerSizes, estimateTokens } from "./token-estimate.ts";

const chat = (content: unknown): object => ({ messages: [{ role: "user", content }] });

test.each([
  ["English", chat("The quick brown fox jumps over the lazy dog. ".repeat(10)), 90, 140],
  ["Chinese", chat("你好，请介绍一下你自己。".repeat(10)), 70, 140],
  [
    "a picture, which is no text",
    chat([{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(1_000_000)}` } }]),
    800,
    900,
  ],
  ["a file as base64", { messages: [{ source: { data: "Qk0".repeat(5_000) } }] }, 800, 900],
  ["tokens by their numbers", { input: [[1, 2, 3, 4, 5]] }, 5, 5],
  ["what only steers", { temperature: 1, user: "x".repeat(400), messages: [] }, 0, 0],
  ["nothing", undefined, 0, 0],
])("the tokens of a question are guessed by its length: %s", (_what, body, least, most) => {
  const { prompt } = estimateTokens(body);
  expect(prompt).toBeGreaterThanOrEqual(least);
  expect(prompt).toBeLessThanOrEqual(most);
});

test("those of an answer by what came before, and never more than its client allows", () => {
  const sizes = new AnswerSizes();
  const asked = estimateTokens(chat("x".repeat(396)));
  expect(sizes.expected("m", asked)).toBe(asked.prompt + 256);
  for (let times = 0; times < 60; times++) sizes.learn("m", asked, asked.prompt + 2_000);
  expect(sizes.expected("m", asked)).toBe(asked.prompt + 2_000);
  expect(sizes.expected("other", asked)).toBe(asked.prompt + 256);
  expect(sizes.expected("m", estimateTokens({ ...chat("x".repeat(396)), max_tokens: 50 }))).toBe(asked.prompt + 50);
});
