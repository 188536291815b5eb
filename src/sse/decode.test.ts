import fc from "fast-check";
import { expect, test } from "vitest";
import type { StreamEvent } from "../core/stream-event.ts";
import { createSseDecoder } from "./decode.ts";
import { encodeData, encodeNamed } from "./encode.ts";

function decode(chunks: Buffer[], maxEventBytes = 1_000): { events: StreamEvent[]; stray: string[] } {
  const events: StreamEvent[] = [];
  const stray: string[] = [];
  const decoder = createSseDecoder(
    { onEvent: (event) => events.push(event), onStrayLine: (line) => stray.push(line) },
    maxEventBytes,
  );
  for (const chunk of chunks) decoder.feed(chunk);
  decoder.flush();
  return { events, stray };
}

function split(bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
}

/** Any character. The unit `binary` means the same, and takes a second to make a map of them all. */
const character = fc
  .oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint));
const dataText = fc
  .string({ unit: character, minLength: 1 })
  .filter((text) => !text.includes("\r") && !text.startsWith("\uFEFF") && text.isWellFormed());

test("whatever the reads and the line ends, the data comes out as it was written", () => {
  fc.assert(
    fc.property(
      fc.array(dataText, { minLength: 1 }),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.nat()),
      (texts, eol, cuts) => {
        const bytes = Buffer.from(texts.map(encodeData).join("").replaceAll("\n", eol));
        expect(decode(split(bytes, cuts)).events.map(({ data }) => data)).toEqual(texts);
      },
    ),
  );
});

test.each([1, 7_000, 20_000])("a whole line that is no field may be so long, and no longer (%i characters at a time)", (size) => {
  const read = (line: string): Buffer[] =>
    (line.match(new RegExp(`.{1,${size}}|\\n`, "gs")) ?? []).map((part) => Buffer.from(part));
  const longest = "x".repeat(16_383);
  expect(decode(read(`${longest}\n`)).stray).toEqual([longest]);
  expect(() => decode(read(`${longest}x\n`))).toThrow(expect.objectContaining({ code: "stream_corrupted" }));
});

test("names are kept, ids and comments are not events", () => {
  const bytes = Buffer.from(`: hello\n\nid: 1\n${encodeNamed("error", "{}")}event: lonely\n\n`);
  expect(decode([bytes]).events).toEqual([{ event: "error", data: "{}" }]);
});

test("lines that are no SSE are handed over as they came", () => {
  expect(decode([Buffer.from('error: {"code":500}\nTraceback (most recent call last)\n')]).stray).toEqual([
    'error: {"code":500}',
    "Traceback (most recent call last)",
  ]);
});

test.each([
  ["in one read", [`data: ${"x".repeat(2_000)}\n\n`]],
  ["in many reads", Array.from({ length: 200 }, () => "data: 0123456789")],
])("an event over the limit is refused %s", (_how, texts) => {
  // The same answer would be too large again, wherever it is asked for.
  expect(() => decode(texts.map((text) => Buffer.from(text)))).toThrow(
    expect.objectContaining({ code: "stream_corrupted", scope: "never" }),
  );
});

test("the events before bytes that are no UTF-8 are handed over, behind a byte order mark as well", () => {
  for (const mark of ["", "\uFEFF"]) {
    for (const end of ["\n\n", "\r\n\r\n"]) {
      for (const first of [[], [Buffer.from(`${mark}data: 1${end}`)]]) {
        const data: string[] = [];
        const decoder = createSseDecoder(
          { onEvent: (event) => data.push(event.data), onStrayLine: (line) => data.push(line) },
          1_000,
        );
        for (const read of first) decoder.feed(read);
        const isFirst = first.length === 0;
        const bytes = Buffer.concat([Buffer.from(`${isFirst ? mark : ""}data: 水${end}data: `), Buffer.from([0xff])]);
        const message = "the upstream's stream is not valid UTF-8";
        const cause = expect.any(TypeError);
        expect(() => decoder.feed(bytes)).toThrow(expect.objectContaining({ code: "stream_corrupted", message, cause }));
        expect(data).toEqual(isFirst ? ["水"] : ["1", "水"]);
      }
    }
  }
});

test("nothing is handed over behind an event over the limit, however its lines end", () => {
  for (const end of ["\n\n", "\r\n\r\n", "\r\r"]) {
    const data: string[] = [];
    const onStrayLine = (line: string): void => void data.push(line);
    const decoder = createSseDecoder({ onEvent: (event) => data.push(event.data), onStrayLine }, 1_000);
    const bytes = Buffer.from(`data: 1${end}data: ${"x".repeat(1_001)}${end}data: 2${end}: {}${end}error: {}${end}`);
    expect(() => decoder.feed(bytes)).toThrow(expect.objectContaining({ code: "stream_corrupted", scope: "never" }));
    expect(data).toEqual(["1"]);
  }
});

test.each([
  ["a last event that lacks its blank line", "data: a\n\ndata: b", ["a", "b"]],
  ["a last event that lacks half of it", "data: a\n\ndata: b\n", ["a", "b"]],
  ["data within data, with empty lines behind it", 'data: data: {"a": 1}\ndata:\ndata: \n\n', ['{"a": 1}']],
  ["text that begins as data does", "data: data: a \n\n", ["data: a "]],
])("what is read of %s", (_what, text, data) => {
  expect(decode([Buffer.from(text)]).events.map((event) => event.data)).toEqual(data);
});

test("so are they where the read before ended within a character of theirs, the first and the last of each length", () => {
  for (const character of ["\u0080", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}"]) {
    for (const end of ["\n\n", "\r\n\r\n"]) {
      const bytes = Buffer.concat([Buffer.from(`data: ${character}${end}`), Buffer.from([0xff])]);
      for (let cut = 1; cut < Buffer.byteLength(character); cut++) {
        const data: string[] = [];
        const decoder = createSseDecoder({ onEvent: (event) => data.push(event.data), onStrayLine() {} }, 1_000);
        const at = "data: ".length + cut;
        decoder.feed(bytes.subarray(0, at));
        expect(() => decoder.feed(bytes.subarray(at))).toThrow(expect.objectContaining({ code: "stream_corrupted" }));
        expect(data, `${character.codePointAt(0)?.toString(16)} cut behind ${cut}`).toEqual([character]);
      }
    }
  }
});

test("a read of half a character alone does not begin a line", () => {
  const water = Buffer.from("水");
  const long = "x".repeat(20_000);
  for (const reads of [
    [Buffer.from("data: a"), water.subarray(0, 1), water.subarray(1), Buffer.from(`${long}\n\n`)],
    [Buffer.from("data: a"), water.subarray(0, 2), Buffer.concat([water.subarray(2), Buffer.from(`${long}\n\n`)])],
    [Buffer.from("data: a"), Buffer.alloc(0), Buffer.from(`水${long}\n\n`)],
    [Buffer.from("data: a"), water.subarray(0, 2), Buffer.concat([water.subarray(2), Buffer.from(long)]), Buffer.from("\n\n")],
  ])
    expect(decode(reads, 30_000)).toEqual({ events: [{ event: undefined, data: `a水${long}` }], stray: [] });
});

test("what is kept of an unfinished event is counted, its lines too, and nothing of those that have ended", () => {
  const decoder = createSseDecoder({ onEvent() {}, onStrayLine() {} }, 100_000);
  const after = (...reads: string[]): number => {
    for (const read of reads) decoder.feed(Buffer.from(read));
    return decoder.unfinishedBytes();
  };
  expect(after("data: 1\n\n")).toBe(0);
  expect(after(...Array<string>(10).fill("data: 12345\n"))).toBeGreaterThanOrEqual(10 * (12 + 64));
  expect(after("data: 12345\n".repeat(10))).toBeGreaterThanOrEqual(20 * (12 + 64));
  expect(after("\n")).toBe(0);
  for (const eol of ["\n", "\r\n", "\r"]) {
    // Ends one and begins another, over and over.
    const turn = `c${eol}${eol}: `;
    expect([eol, after(": ", ...Array<string>(20).fill(turn)) <= 2 * turn.length]).toEqual([eol, true]);
    const event = ` 1${eol}${eol}data:`;
    expect([eol, after(`c${eol}${eol}data:`, ...Array<string>(20).fill(event)) <= event.length]).toEqual([eol, true]);
    after(`${eol}${eol}`);
  }
});

test("bytes that are no UTF-8 are refused, half a character at the end of a read is not", () => {
  expect(() => decode([Buffer.from([0x64, 0xff])])).toThrow(expect.objectContaining({ code: "stream_corrupted" }));
  const water = Buffer.from(encodeData("水"));
  expect(decode([water.subarray(0, 7), water.subarray(7)]).events).toEqual([{ event: undefined, data: "水" }]);
});

test.each([
  [1_000, 17],
  [16_383, 2],
  [16_384, 1],
  [20_000, 1],
])("a line that is no field and never ends is refused, not kept (%i characters at a time)", (size, reads) => {
  const decoder = createSseDecoder({ onEvent() {}, onStrayLine() {} }, 100_000);
  const line = Buffer.from("x".repeat(size));
  for (let read = 1; read < reads; read++) decoder.feed(line);
  const message = "the upstream sent a long line that is no event";
  expect(() => decoder.feed(line)).toThrow(expect.objectContaining({ code: "stream_corrupted", scope: "again", message }));
});

test.each(["\n", "\r\n", "\r"])("a body that stops within an event says so (%j)", (eol) => {
  const bytes = Buffer.from(`data: a${eol}${eol}: comment${eol}${eol}data: b${eol}${eol}`);
  const whole = [0, 7, 16, 23].map((end, i) => end + eol.length * 2 * Math.min(i, 3));
  const stopped = (end: number): string | undefined => {
    if (whole.includes(end)) return undefined;
    return /^(?:d|da|dat|data)$/.test(/[^\r\n]*$/.exec(bytes.toString("latin1", 0, end))?.[0] ?? "") ? "line" : "event";
  };
  for (const step of [1, 3, bytes.length]) {
    for (let end = 0; end <= bytes.length; end++) {
      const decoder = createSseDecoder({ onEvent() {}, onStrayLine() {} }, 1_000);
      for (let at = 0; at < end; at += step) decoder.feed(bytes.subarray(at, Math.min(end, at + step)));
      expect(decoder.flush(), `${end} bytes, ${step} at a time`).toBe(stopped(end));
    }
  }
});

test.each([
  ["\n", "\r\n"],
  ["\r\n", "\n"],
  ["\r", "\r\n"],
  ["\n", "\r"],
])("a blank line may end otherwise than the line before it (%j, %j)", (first, second) => {
  const decoder = createSseDecoder({ onEvent() {}, onStrayLine() {} }, 1_000);
  decoder.feed(Buffer.from(`data: a${first}${second}`));
  expect(decoder.flush()).toBeUndefined();
});

test("half a line behind a whole one is not of that event", () => {
  const decoder = createSseDecoder({ onEvent() {}, onStrayLine() {} }, 1_000);
  decoder.feed(Buffer.from("data: {}\ne"));
  expect(decoder.flush()).toBe("line");
});

test.each(["\n", "\r\n", "\r"])("an event whose data is not there is told by its name, in its place (%j)", (eol) => {
  const text = "event: a\ndata: 1\n\nevent: b\n\nid: 2\nevent: c\n: d\n\ndata: 3\nevent: d\n\nevent: e\ndata:\n\n\n\nevent:\n\n";
  const bytes = Buffer.from(text.replaceAll("\n", eol));
  const steps = [1, 2, 7, bytes.length].map((step) =>
    Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) => bytes.subarray(at * step, (at + 1) * step)),
  );
  const cuts = Array.from(bytes, (_byte, cut) => [bytes.subarray(0, cut), bytes.subarray(cut)]);
  for (const reads of [...steps, ...cuts]) {
    const told: string[] = [];
    const decoder = createSseDecoder(
      { onEvent: ({ event, data }) => told.push(`${event}=${data}`), onStrayLine: (line) => told.push(line) },
      1_000,
    );
    for (const read of reads) decoder.feed(read);
    expect(told, `${reads.length} reads, the first of ${reads[0]?.length}`).toEqual(["a=1", "event: b", "event: c", "d=3", "e="]);
  }
});
