/** With the bytes or with the parser, a stream is the same stream. */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { StreamEvent } from "../core/stream-event.ts";
import { createSseDecoder } from "./decode.ts";
import { encodeData, encodeNamed } from "./encode.ts";
import { plainEvents } from "./plain-events.ts";

afterEach(() => {
  plainEvents.areOn = true;
});

interface Read {
  /** All that came out of it, in its order. */
  readonly log: string[];
  /** Events that have kept their bytes. */
  readonly kept: number;
}

function read(chunks: readonly Buffer[], areOn: boolean, maxEventBytes = 200): Read {
  plainEvents.areOn = areOn;
  const log: string[] = [];
  let kept = 0;
  const decoder = createSseDecoder(
    {
      onEvent(event) {
        log.push(`${event.event}: ${event.data}`);
        if (event.bytes === undefined) return;
        kept++;
        const encoded = event.event === undefined ? encodeData(event.data) : encodeNamed(event.event, event.data);
        expect(event.bytes.toString()).toBe(encoded);
      },
      onStrayLine: (line) => log.push(`stray ${line}`),
    },
    maxEventBytes,
  );
  try {
    for (const chunk of chunks) decoder.feed(chunk);
    log.push(`left ${decoder.unfinishedBytes() > 0}`, `flush ${decoder.flush()}`);
  } catch (thrown) {
    log.push(`thrown ${(thrown as Error).message}`);
  }
  return { log, kept };
}

const PIECES = [
  ...['data: {"a":1}\n\n', 'data: {"text":"水 café \u2028"}\n\n', 'event: a.b_c\ndata: {"type":"a"}\n\n'],
  ...[
    ": comment\n\n",
    ": lone\n",
    "data: [DONE]\n\n",
    "data:{}\n\n",
    "data:  {}\n\n",
    "data: {}\n",
    "data: {}\r\n\r\n",
    "data: {",
  ],
  ...[
    "event: a\n\n",
    "event:a\ndata: {}\n\n",
    "event: a b\ndata: {}\n\n",
    "event: a\nid: 1\ndata: {}\n\n",
    "id: 7\ndata: {}\n\n",
  ],
  ...[
    "event: a\nevent: b\ndata: {}\n\n",
    "data: {}\nevent: a\n\n",
    "retry: 5\n\n",
    'data: data: {"a":1}\n\n',
    `data: {${" ".repeat(210)}}\n\n`,
  ],
  ...["\n", "\r", "\uFEFF", '{"debris":1}\n', 'error: {"code":1}\n\n', "event: \ndata: {}\n\n"],
  // A line ends at a carriage return as well: the second would be data of its own, the third a name.
  ...["data: {\r}\n\n", 'data: {\rdata: {"b":1}\n\n', "data: {}\revent: a\n\n"],
].map((text) => Buffer.from(text));
const BAD_UTF8 = Buffer.from([0xff]);
const HALF_CHARACTER = Buffer.from("水").subarray(0, 2);
const BAD_EVENT = Buffer.concat([Buffer.from('data: {"a":"'), BAD_UTF8, Buffer.from('"}\n\n')]);

const stream = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...PIECES.slice(0, 3)) },
    { weight: 4, arbitrary: fc.constantFrom(...PIECES) },
    { weight: 1, arbitrary: fc.constantFrom(BAD_UTF8, HALF_CHARACTER, BAD_EVENT) },
  ),
  { maxLength: 12 },
);

test("whatever comes, and however it is cut into reads", () => {
  let kept = 0;
  fc.assert(
    fc.property(stream, fc.array(fc.nat(), { maxLength: 6 }), (pieces, cuts) => {
      const bytes = Buffer.concat(pieces);
      const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
      const chunks = [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
      const plain = read(chunks, true);
      const parsed = read(chunks, false);
      expect(plain.log).toEqual(parsed.log);
      expect(parsed.kept).toBe(0);
      kept += plain.kept;
    }),
    { numRuns: 2_000 },
  );
  // A comparison in which nothing is plain would prove nothing.
  expect(kept).toBeGreaterThan(500);
});

describe("events keep their bytes", () => {
  const event = 'data: {"n":1}\n\n';
  test.each([
    ["but for the first, one in each read", [event, event, event], 2],
    ["many in one read", [event.repeat(10)], 9],
    ["those between two that are cut", [`${event}data: {"n"`, `:2}\n\n${event.repeat(2)}data: {`, `}\n\n${event}`], 3],
    ["not behind a comment in the same read", [event, `: c\n\n${event}`, event], 1],
    ["not with another line end, nor the one behind it", [event, event.replaceAll("\n", "\r\n"), event, event], 1],
    ["with a name", [event, 'event: x\ndata: {"n":1}\n\n'], 1],
  ])("%s", (_which, reads, kept) => {
    const chunks = reads.map((text) => Buffer.from(text));
    expect(read(chunks, true)).toEqual({ ...read(chunks, false), kept });
  });
});

test("a read that does not end with an event goes on in the next, whatever it ends with", () => {
  const event = 'data: {"n":1}\n\n';
  for (const end of [
    "",
    ":",
    "x",
    "\n",
    "\n:",
    "\nx",
    ": c\n",
    ": c\n:",
    "id: 1\n",
    "event: a\n",
    "data: 1\n",
    "data: {\r}",
    "\n \n",
    "\r",
  ]) {
    for (const reads of [
      [event, end, event],
      [event, event + end, event],
    ]) {
      const chunks = reads.map((text) => Buffer.from(text));
      expect([end, read(chunks, true).log]).toEqual([end, read(chunks, false).log]);
    }
  }
});

test("an event of exactly the limit, and one byte more", () => {
  const of = (bytes: number): Buffer => Buffer.from(`data: {${"x".repeat(bytes - 2)}}\n\n`);
  for (const bytes of [99, 100, 101]) {
    const chunks = [of(10), of(bytes), of(10)];
    expect(read(chunks, true, 100).log).toEqual(read(chunks, false, 100).log);
  }
});

test("a copy with other data keeps the name, and has none of the bytes", () => {
  const seen: StreamEvent[] = [];
  const decoder = createSseDecoder({ onEvent: (event) => seen.push(event), onStrayLine() {} }, 200);
  for (let i = 0; i < 2; i++) decoder.feed(Buffer.from('event: a\ndata: {"n":1}\n\n'));
  expect(String(seen[1]?.bytes)).toBe('event: a\ndata: {"n":1}\n\n');
  expect({ ...(seen[1] as StreamEvent), data: "{}" }).toEqual({ event: "a", data: "{}", characters: undefined });
});
