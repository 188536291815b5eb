/** What a template reads is what JSON.parse reads. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StreamEvent } from "../core/stream-event.ts";
import { EventTemplate } from "./event-template.ts";
import { isObject, type JsonObject } from "./json.ts";

function eventOf(data: string): StreamEvent {
  return { event: undefined, data, bytes: Buffer.from(`data: ${data}\n\n`) };
}

/** How a dialect reads an event. @returns its value, and whether the template knew it. */
function read(template: EventTemplate, data: string): { readonly value: unknown; readonly isKnown: boolean } {
  const event = eventOf(data);
  const known = template.match(event);
  return { value: structuredClone(known ?? template.parse(event)), isKnown: known !== undefined };
}

function parsed(data: string): unknown {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const chunk = (delta: JsonObject, fields: JsonObject = {}): string =>
  JSON.stringify({ id: "c-1", created: 17, ...fields, choices: [{ index: 0, delta, finish_reason: null }], obfuscation: "xyz" });

const TEXTS = [
  "水",
  "a",
  "",
  '"',
  "\\",
  "\n",
  "content",
  "a\u2028b",
  "\ud83d\ude00",
  "}]}",
  '","error":{"x":1},"y":"',
  "what stands at place 0",
];
const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom(...TEXTS));

const SHAPES: Readonly<Record<string, (text: string) => JsonObject>> = {
  content: (text) => ({ content: text }),
  both: (text) => ({ content: text, reasoning_content: `${text}!` }),
  tool: (text) => ({ tool_calls: [{ index: 0, function: { arguments: text, content: text } }] }),
  other: (text) => ({ words: text }),
};

const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

/** A stream of one way of writing, with an event now and then that is otherwise. */
const stream = fc.record({
  shape: fc.constantFrom(...Object.keys(SHAPES)),
  indent: fc.constantFrom(undefined, 0, 1),
  events: fc.array(
    fc.record({
      text,
      created: fc.oneof(
        { weight: 9, arbitrary: fc.nat() },
        { weight: 1, arbitrary: fc.constantFrom(0, 1e21, -1, 1.5, 1e15 - 1, 1e15) },
      ),
      shape: rarely(fc.constantFrom(...Object.keys(SHAPES))),
      spoil: rarely(fc.record({ at: fc.nat(), byte: fc.constantFrom(...'"\\}0{,: \u0001e'.split("")) })),
    }),
    { minLength: 7, maxLength: 25 },
  ),
});

test("whatever the stream says, and in whatever byte an event is wrong", () => {
  let known = 0;
  fc.assert(
    fc.property(stream, ({ shape: usual, indent, events }) => {
      const template = new EventTemplate();
      for (const { text, created, shape, spoil } of events) {
        const json = chunk(SHAPES[shape ?? usual]?.(text) ?? {}, { created });
        let data = indent === undefined ? json : JSON.stringify(JSON.parse(json), null, indent).replaceAll("\n", " ");
        if (spoil !== null) {
          const at = spoil.at % data.length;
          data = (data.slice(0, at) + spoil.byte + data.slice(at + 1)).toWellFormed();
        }
        const { value, isKnown } = read(template, data);
        expect(value).toEqual(parsed(data));
        if (isKnown) known++;
      }
    }),
    { numRuns: 1_000 },
  );
  // A comparison of parses with parses would prove nothing.
  expect(known).toBeGreaterThan(1_000);
});

describe("after a few events", () => {
  function taught(...lessons: string[]): EventTemplate {
    const template = new EventTemplate();
    for (let i = 0; i < 7; i++) read(template, chunk({ content: "a" }));
    for (const lesson of lessons) read(template, lesson);
    return template;
  }

  test.each([
    ["another text", chunk({ content: "b" }), true],
    ["an escape", chunk({ content: 'say "b"\n' }), true],
    ["another number", chunk({ content: "b" }, { created: 18 }), true],
    ["another choice", chunk({ content: "b" }).replace('"index":0', '"index":1'), false],
    ["a finish", chunk({ content: "b" }).replace("null", '"stop"'), false],
    ["an error behind it", chunk({ content: "b" }).replace(/\}$/, ',"error":{}}'), false],
    ["a number that is none", chunk({ content: "b" }).replace('"created":17', '"created":017'), false],
    ["a number with a fraction", chunk({ content: "b" }, { created: 17.5 }), false],
    ["a control byte", chunk({ content: "b" }).replace('"b"', '"\t"'), false],
    ["an escape that is none", chunk({ content: "b" }).replace('"b"', '"\\x"'), false],
    ["a cut", chunk({ content: "b" }).slice(0, -1), false],
  ])("%s: known %j", (_what, data, isKnown) => {
    const result = read(taught(), data);
    expect(result).toEqual({ value: parsed(data), isKnown });
  });

  test("a field that is written twice is parsed, since it cannot be said which one counts", () => {
    const twice = '{"content":"a","content":"b","text":"c"}';
    const template = new EventTemplate();
    for (let i = 0; i < 12; i++) expect(read(template, twice)).toEqual({ value: { content: "b", text: "c" }, isKnown: false });
  });

  test("events without bytes, or too long ones, are parsed", () => {
    const template = taught();
    expect(template.match({ event: undefined, data: chunk({ content: "b" }) })).toBeUndefined();
    const long = chunk({ content: "b", padding: "x".repeat(5_000) });
    expect(read(taught(long), long)).toEqual({ value: parsed(long), isKnown: false });
  });
});

test("a key that comes twice hides its place, whatever else an event says", () => {
  const template = new EventTemplate();
  const data = (text: string): string =>
    `{"fixed":"what stands at place 1","delta":"${text}","part":{"content":"${text}"},"part":null,"number":900719925474000}`;
  for (let n = 0; n < 12; n++) {
    const { value } = read(template, data(`w${n}`));
    expect(value).toEqual(parsed(data(`w${n}`)));
  }
});
