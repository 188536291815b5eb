import { expect, it } from "vitest";
import { promptOf, wordsOfAnswer, wordsOfEvent } from "./words.ts";

const event = (json: object): string =>
  wordsOfEvent(JSON.stringify(json))
    .map(({ kind, text }) => `${kind}: ${text}`)
    .join("|");
const choice = (delta: object, index = 0): object => ({ id: "x", choices: [{ index, delta, finish_reason: null }] });

it.each([
  [choice({ role: "assistant", content: "" }), ""],
  [choice({ content: "Hi" }), "text: Hi"],
  [choice({ content: "Hi" }, 1), ""],
  [choice({ reasoning_content: "hm" }), "reasoning: hm"],
  [choice({ tool_calls: [{ index: 0, function: { name: "f", arguments: "{" } }] }), "tool: f |tool: {"],
  [{ choices: [{ text: "Hi" }] }, "text: Hi"],
  [{ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } }, "text: Hi"],
  [{ type: "content_block_delta", delta: { type: "thinking_delta", thinking: "hm" } }, "reasoning: hm"],
  [{ type: "content_block_start", content_block: { type: "tool_use", id: "t", name: "f", input: {} } }, "tool: f "],
  [{ type: "response.output_text.delta", delta: "Hi" }, "text: Hi"],
  [{ type: "response.output_text.done", text: "Hi" }, ""],
  [{ type: "response.completed", response: { output: [{ content: [{ text: "Hi" }] }] } }, ""],
  [{ type: "response.output_item.added", item: { type: "function_call", name: "f", arguments: "" } }, "tool: f "],
  [{ type: "response.output_item.done", item: { type: "function_call", name: "f", arguments: "{}" } }, ""],
  [{ type: "response.function_call_arguments.delta", delta: "{" }, "tool: {"],
  [{ answer: "Hi" }, "text: Hi"],
])("of %j it reads %j", (json, expected) => {
  expect(event(json)).toBe(expected);
});

it("reads nothing of what is no JSON object", () => {
  for (const data of ["[DONE]", "null", "", "[1]", "{"]) expect(wordsOfEvent(data)).toEqual([]);
});

it.each([
  [{ choices: [{ index: 0, message: { role: "assistant", content: "Hi" } }] }],
  [{ content: [{ type: "text", text: "Hi" }] }],
  [{ output: [{ type: "message", content: [{ type: "output_text", text: "Hi" }] }] }],
])("of the answer %j it reads its text", (answer) => {
  expect(wordsOfAnswer(JSON.stringify(answer))).toEqual([{ kind: "text", text: "Hi" }]);
});

it.each([
  [{ messages: [{ role: "user", content: "Why?" }] }, ["user: Why?"]],
  [
    { system: "Be brief.", messages: [{ role: "user", content: [{ type: "text", text: "Why?" }] }] },
    ["system: Be brief.", "user: Why?"],
  ],
  [{ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }] }, ["user: [image_url]"]],
  [
    {
      messages: [
        { role: "assistant", tool_calls: [{ function: { name: "f", arguments: "{}" } }] },
        { role: "tool", content: "4" },
      ],
    },
    ["assistant: f \n{}", "tool: 4"],
  ],
  [
    { messages: [{ role: "assistant", content: [{ type: "tool_use", name: "f", input: { a: 1 } }] }] },
    ['assistant: f \n{"a":1}'],
  ],
  [{ instructions: "Be brief.", input: "Why?" }, ["system: Be brief.", "user: Why?"]],
  [{ input: [{ role: "user", content: [{ type: "input_text", text: "Why?" }] }] }, ["user: Why?"]],
  [{ prompt: ["a", "b"] }, ["prompt: a\nb"]],
  [{ query: "Why?", history: [{ role: "user", content: "Hi" }] }, ["user: Hi", "user: Why?"]],
  [null, []],
  [{ messages: "no" }, []],
])("of the request %j it reads what is asked", (body, expected) => {
  expect(promptOf(body).map(({ role, text }) => `${role}: ${text}`)).toEqual(expected);
});

it("names a message by what it is only where it says nothing", () => {
  expect(
    promptOf({
      input: [
        { type: "message", role: "user", content: "Hi" },
        { type: "reasoning", content: "" },
      ],
    }),
  ).toEqual([
    { role: "user", text: "Hi" },
    { role: "reasoning", text: "[reasoning]" },
  ]);
});
