/** What one client is sent, write by write, on a clock of the test's own. */
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createExchangeStats } from "../core/exchange.ts";
import { encodeData } from "../sse/encode.ts";
import { ClientStream, type ClientStreamOptions } from "./client-stream.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HEARTBEAT = { after: 1_000, every: 300 };
const EVENT_STREAM = { "content-type": "text/event-stream" };

interface Setup {
  readonly options?: Partial<ClientStreamOptions>;
  readonly client?: Record<string, string>;
  readonly dialect?: object | undefined;
  readonly httpVersionMinor?: number;
}

function open({ options = {}, client = {}, httpVersionMinor = 1, ...setup }: Setup = {}) {
  const writes: string[] = [];
  const heads: unknown[][] = [];
  const steps: string[] = [];
  const unread: number[] = [];
  const socket = { timeout: 0, setTimeout() {}, resetAndDestroy: () => void ends.push("reset"), destroy() {} };
  const ends: string[] = [];
  const raw = Object.assign(new EventEmitter(), {
    ...{ destroyed: false, writableEnded: false, writableFinished: false, writableNeedDrain: false, writableLength: 0 },
    socket,
    req: { httpVersionMinor },
    getHeader: () => undefined,
    writeHead: (status: number, headers: object) => void heads.push([status, headers]),
    flushHeaders: () => void steps.push("head"),
    write(bytes: Buffer | string, done?: () => void) {
      if (bytes.length > 0) writes.push(bytes.toString());
      if (bytes.length > 0) steps.push(bytes.toString());
      done?.();
      return !raw.writableNeedDrain;
    },
    end() {
      ends.push("end");
      steps.push("end");
    },
    destroy: () => void ends.push("destroy"),
    setTimeout: (ms: number) => void steps.push(`${ms} ms`),
  });
  const stats = createExchangeStats();
  const dialect = {
    encodeEvent: ({ data, bytes }: { data: string; bytes?: Buffer }) => bytes ?? encodeData(data),
    ...setup.dialect,
  };
  const exchange = {
    id: "ex1",
    attempts: [{ upstream: "main" }],
    arrivedAt: performance.now(),
    api: "dialect" in setup && setup.dialect === undefined ? undefined : { dialect },
    request: { method: "POST", headers: client },
    stats,
  };
  const stream = new ClientStream(raw as never, exchange as never, { interruptEnd: "auto", heartbeat: HEARTBEAT, ...options }, {
    set: (bytes: number) => void unread.push(bytes),
  } as never);
  return { stream, raw, writes, heads, ends, unread, stats, steps };
}

const event = (data: string, characters?: number) => ({ event: undefined, data, characters });

describe("heartbeats", () => {
  test("come after the first silence and then more often, and begin the answer", () => {
    const { stream, writes, heads, stats } = open();
    stream.keepAlive();
    vi.advanceTimersByTime(999);
    expect([writes.length, heads.length, stream.headersSent]).toEqual([0, 0, false]);
    vi.advanceTimersByTime(1);
    expect([writes, stream.headersSent, stream.status]).toEqual([[": keep-alive\n\n"], true, 200]);
    vi.advanceTimersByTime(600);
    expect([writes.length, heads.length, stats.heartbeats, stats.bytes]).toEqual([3, 1, 3, 3 * 14]);
    expect(heads[0]).toMatchObject([
      200,
      { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache, no-transform" },
    ]);
    stream.commit({ "content-type": "text/event-stream", x: "1" });
    expect(heads).toHaveLength(1);
  });

  test("wait until they may begin, and look for that at least once a second", () => {
    for (const [every, looks] of [
      [300, 4],
      [5_000, 1],
    ] as const) {
      let mayBegin = false;
      let asked = 0;
      const { stream, writes } = open({ options: { heartbeat: { after: 100, every } } });
      stream.keepAlive(() => {
        asked++;
        return mayBegin;
      });
      vi.advanceTimersByTime(100 + 1_000 + 299);
      expect([every, writes.length, asked]).toEqual([every, 0, looks + 1]);
      mayBegin = true;
      vi.advanceTimersByTime(1_000);
      expect(writes.length).toBeGreaterThan(0);
      stream.stopTimers();
    }
  });

  test("are none where something was said, none at all when they are off, and none once it is over", async () => {
    const said = open();
    said.stream.commit({});
    said.stream.keepAlive();
    vi.advanceTimersByTime(900);
    said.stream.push(event("a"), "content" as never);
    said.stream.finish();
    await Promise.resolve();
    vi.advanceTimersByTime(100);
    expect(said.writes).toEqual(["data: a\n\n"]);
    vi.advanceTimersByTime(300);
    expect(said.writes).toEqual(["data: a\n\n", ": keep-alive\n\n"]);
    said.raw.writableNeedDrain = true;
    vi.advanceTimersByTime(900);
    expect(said.writes).toHaveLength(2);
    const off = open({ options: { heartbeat: false } });
    off.stream.keepAlive();
    const gone = open();
    gone.stream.keepAlive();
    gone.raw.destroyed = true;
    const ended = open();
    ended.stream.keepAlive();
    ended.raw.writableEnded = true;
    const twice = open();
    twice.stream.keepAlive();
    twice.stream.keepAlive();
    const over = open();
    over.stream.keepAlive();
    over.stream.end("data: [DONE]\n\n");
    const broken = open();
    broken.stream.keepAlive();
    broken.stream.interrupt("data: {}\n\n");
    vi.advanceTimersByTime(1_000);
    expect([off, gone, ended, twice, over, broken].map(({ stats }) => stats.heartbeats)).toEqual([0, 0, 0, 1, 0, 0]);
  });

  test("are a line alone for Go's SDKs, and among events that carry ids", () => {
    const go = open({ client: { "x-stainless-lang": "go" } });
    const numbered = open();
    numbered.stream.giveIds("s", 0);
    const piped = open({ dialect: undefined });
    piped.stream.begin(200, EVENT_STREAM);
    piped.stream.write(Buffer.from("id: 1\ndata: 1\n\n"));
    go.stream.keepAlive();
    numbered.stream.keepAlive();
    vi.advanceTimersByTime(1_300);
    for (const { writes } of [go, numbered, piped]) expect(writes.at(-1)).toBe(": keep-alive\n");
  });
});

describe("events", () => {
  test("of one read are one write, counted", async () => {
    const { stream, writes, heads, stats } = open();
    stream.commit({ "content-length": "5", "content-encoding": "gzip", "content-type": "text/plain", x: "1" });
    expect(heads[0]?.[1]).toMatchObject({
      x: "1",
      "content-type": "text/event-stream; charset=utf-8",
      "x-perennial-upstream": "main",
    });
    expect(Object.keys(heads[0]?.[1] as object)).not.toContain("content-length");
    expect(Object.keys(heads[0]?.[1] as object)).not.toContain("content-encoding");
    const bytes = Buffer.from("data:  c\n\n");
    stream.push(event("a", 1), "content" as never);
    stream.push({ ...event("c", 3), bytes } as never, "meta" as never);
    expect([stream.flush(), stream.flush(), writes]).toEqual([true, true, []]);
    await Promise.resolve();
    expect(writes).toEqual(["data: a\n\ndata:  c\n\n"]);
    expect(stats).toMatchObject({ events: 2, characters: 4, bytes: writes.join("").length });
    stream.flush();
    await Promise.resolve();
    expect(writes).toHaveLength(1);
    stream.push(event("d"), "content" as never);
    stream.end("data: [DONE]\n\n");
    expect(writes.slice(1)).toEqual(["data: d\n\n", "data: [DONE]\n\n"]);
    expect(stats.events).toBe(4);
  });

  test("take the head along that was made for them; it leaves alone where none come, and not behind the end", async () => {
    const [alone, together, over] = [open(), open(), open()];
    for (const { stream } of [alone, together, over]) stream.commit({});
    together.stream.push(event("a"), "content" as never);
    over.raw.writableEnded = true;
    expect([alone.steps, together.steps]).toEqual([[], []]);
    await Promise.resolve();
    expect([alone.steps, together.steps, over.steps]).toEqual([["head"], ["data: a\n\n"], []]);
  });

  test("that came with the end leave before it, in dialects without a terminator too", () => {
    for (const terminator of ["", "data: [DONE]\n\n"]) {
      const { stream, steps } = open();
      stream.push(event("a"), "content" as never);
      stream.flush();
      stream.end(terminator);
      expect(steps).toEqual(["data: a\n\n", ...(terminator === "" ? [] : [terminator]), "end", "30000 ms"]);
    }
  });

  test("that a client takes none of are given up once, however often it is asked to take or leave them", () => {
    const { stream, steps } = open();
    stream.takeOrLeave();
    stream.takeOrLeave();
    expect(steps).toEqual(["30000 ms"]);
  });

  test("are written one by one in dialects whose clients read so", () => {
    const { stream, writes } = open({ dialect: { oneEventPerWrite: true } });
    stream.push(event("a"), "content" as never);
    stream.push(event("b"), "content" as never);
    expect(writes).toEqual(["data: a\n\n", "data: b\n\n"]);
  });

  test("a small piece of a large read is copied, and a large one is not", async () => {
    const read = Buffer.alloc(10_000, 97);
    const given: unknown[] = [];
    const { stream, raw } = open();
    raw.write = ((bytes: Buffer) => given.push(bytes)) as never;
    for (const end of [4_999, 5_000]) {
      stream.push({ ...event("a"), bytes: read.subarray(0, end) } as never, "content" as never);
      stream.finish();
      await Promise.resolve();
    }
    expect(given.map((bytes) => (bytes as Buffer).buffer === read.buffer)).toEqual([false, true]);
  });

  test("the longest silence between contents is remembered, and no other", async () => {
    const { stream, stats } = open();
    vi.advanceTimersByTime(50);
    stream.commit({});
    expect(stats.firstTokenMs).toBe(50);
    for (const [ms, kind] of [
      [100, "content"],
      [400, "meta"],
      [30, "content"],
      [200, "tool-call"],
    ] as const) {
      vi.advanceTimersByTime(ms);
      stream.push(event("a"), kind as never);
      stream.finish();
      await Promise.resolve();
    }
    expect(stats.longestGapMs).toBe(430);
    const meta = open();
    meta.stream.commit({});
    for (const [kind, expected] of [
      ["meta", undefined],
      ["content", 200],
    ] as const) {
      vi.advanceTimersByTime(100);
      meta.stream.push(event("a"), kind as never);
      meta.stream.finish();
      await Promise.resolve();
      expect(meta.stats.longestGapMs).toBe(expected);
    }
    // Of a stream that has no beginning of its own the first silence is not one.
    const joined = open();
    for (const expected of [undefined, 70]) {
      vi.advanceTimersByTime(70);
      joined.stream.push(event("a"), "content" as never);
      joined.stream.finish();
      await Promise.resolve();
      expect(joined.stats.longestGapMs).toBe(expected);
    }
  });

  test("that a slow client has not read are counted, until it has", async () => {
    const { stream, raw, unread } = open();
    stream.push(event("a"), "content" as never);
    Object.assign(raw, { writableLength: 9 });
    expect([stream.flush(), stream.write(Buffer.from("x")), unread]).toEqual([true, true, []]);
    Object.assign(raw, { writableNeedDrain: true, writableLength: 77 });
    await Promise.resolve();
    expect(unread).toEqual([77]);
    expect([stream.flush(), unread]).toEqual([false, [77, 77]]);
    expect(stream.write(Buffer.from("x"))).toBe(false);
    let drained = 0;
    const off = stream.onDrain(() => drained++);
    raw.emit("drain");
    off();
    raw.emit("drain");
    expect([unread, drained]).toEqual([[77, 77, 77, 0, 0], 1]);
  });

  test("that can be come back for carry their numbers behind their data, the end and a kept error too", () => {
    const { stream, writes } = open({ options: { interruptEnd: "clean" } });
    stream.giveIds("s", 4);
    stream.push(event("a"), "content" as never);
    stream.interrupt("data: e\n\n", true);
    expect(writes.join("")).toBe("data: a\nid: s:5\n\ndata: e\nid: s:6\n\n");
    const whole = open();
    whole.stream.giveIds("s", 0);
    whole.stream.end("data: [DONE]\n\n");
    const own = open({ options: { interruptEnd: "clean" } });
    own.stream.giveIds("s", 0);
    own.stream.interrupt("data: e\n\n");
    expect([whole.writes, own.writes]).toEqual([["data: [DONE]\nid: s:1\n\n"], ["data: e\n\n"]]);
    const [moved, plain] = [open(), open()];
    moved.stream.giveIds("s", 4);
    for (const each of [moved, plain]) {
      each.stream.renumber(3);
      each.stream.end("data: [DONE]\n\n");
    }
    expect([moved.writes, plain.writes]).toEqual([["data: [DONE]\nid: s:8\n\n"], ["data: [DONE]\n\n"]]);
  });
});

describe("the end", () => {
  test("that is whole is one, with a terminator or without", () => {
    for (const [terminator, events] of [
      ["data: [DONE]\n\n", 1],
      ["", 0],
    ] as const) {
      const { stream, stats, writes, ends } = open();
      stream.end(terminator);
      expect([stats.events, writes.join(""), ends]).toEqual([events, terminator, ["end"]]);
    }
  });

  test.each<[string, Setup, string[]]>([
    ["clean where that is set", { options: { interruptEnd: "clean" } }, ["end"]],
    ["cut where that is set", { options: { interruptEnd: "cut" }, client: { "user-agent": "OpenAI/Python 1.0" } }, ["destroy"]],
    ["clean for a client that raises the event", { client: { "user-agent": "OpenAI/Python 1.0" } }, ["end"]],
    ["cut for others", { client: { "user-agent": "curl/8" } }, ["destroy"]],
    ["cut for a client that says nothing", {}, ["destroy"]],
    ["clean in dialects whose client reads it", { dialect: { endsCleanly: true } }, ["end"]],
    ["a reset for HTTP/1.0", { httpVersionMinor: 0 }, ["reset", "destroy"]],
  ])("of what is not whole is %s", (_what, setup, expected) => {
    const { stream, stats, writes, ends } = open(setup);
    stream.interrupt("data: {}\n\n");
    vi.advanceTimersByTime(199);
    expect(ends).toEqual(expected[0] === "end" ? expected : []);
    vi.advanceTimersByTime(1);
    expect([ends, writes, stats.events]).toEqual([expected, ["data: {}\n\n"], 1]);
  });
});

describe("a body that is passed through", () => {
  test("is kept alive where it is an event stream, and only between its events", () => {
    const { stream, writes, heads, stats } = open({ dialect: undefined });
    stream.begin(206, { ...EVENT_STREAM, "content-length": "9" });
    expect([stream.status, heads[0]]).toMatchObject([206, [206, { "x-accel-buffering": "no" }]]);
    expect(stream.write(Buffer.from("data: 1\n"))).toBe(true);
    vi.advanceTimersByTime(2_000);
    expect(writes).toEqual(["data: 1\n"]);
    stream.write(Buffer.from("\n"));
    vi.advanceTimersByTime(600);
    expect(writes.slice(2)).toEqual([": keep-alive\n\n"]);
    expect(stats.bytes).toBe(writes.join("").length);
    stream.interrupt("data: e\n\n");
    expect(writes.at(-1)).toBe("data: e\n\n");
  });

  test("is known for one by its first bytes, and nothing is put into any other", () => {
    for (const [first, beats] of [
      ["data: {}\n\n", 1],
      ["Hello\n\n", 0],
    ] as const) {
      const { stream, stats } = open({ dialect: undefined });
      stream.begin(200, {});
      vi.advanceTimersByTime(1_000);
      expect(stats.heartbeats).toBe(0);
      stream.write(Buffer.from(first));
      vi.advanceTimersByTime(1_300);
      expect(stats.heartbeats).toBe(beats);
      stream.stopTimers();
    }
  });

  test("that breaks within an event is cut, and no event is put there", () => {
    const { stream, writes, ends } = open({ dialect: undefined, options: { interruptEnd: "clean" } });
    stream.begin(200, EVENT_STREAM);
    stream.write(Buffer.from("data: 1"));
    stream.interrupt("data: e\n\n");
    expect([writes, ends]).toEqual([["data: 1"], ["destroy"]]);
  });
});

describe("progress", () => {
  const first = { at: "attempt", number: 2, of: 3, upstream: "b" } as never;
  test("is told once for each thing, where it is wanted and may be", () => {
    const { stream, writes, stats, heads } = open({ options: { progress: true } });
    stream.progress(first);
    expect(writes).toEqual([]);
    stream.keepAlive(() => true);
    for (const at of [first, first, { at: "attempt", number: 3, of: 3 }, { at: "queue", ahead: 2 }, { at: "queue", ahead: 0 }])
      stream.progress(at as never);
    expect(writes).toEqual([
      ": perennial attempt 2 of 3, upstream b\n\n",
      ": perennial attempt 3 of 3\n\n",
      ": perennial 2 ahead in the queue\n\n",
      ": perennial next in the queue\n\n",
    ]);
    expect([stats.heartbeats, stream.status, heads.length]).toEqual([4, 200, 1]);
    vi.advanceTimersByTime(1_000);
    expect(writes).toHaveLength(4);
  });

  test.each<[string, (opened: ReturnType<typeof open>) => void, progress: boolean, mayBegin?: boolean]>([
    ["where it may not be yet", () => {}, true, false],
    ["where it is not wanted", () => {}, false],
    ["within an answer", ({ stream }) => stream.commit({}), true],
    ["within what is passed through", ({ stream }) => stream.begin(200, EVENT_STREAM), true],
    ["to a client that is gone", ({ raw }) => Object.assign(raw, { destroyed: true }), true],
    ["behind the end", ({ raw }) => Object.assign(raw, { writableEnded: true }), true],
    ["to a slow client", ({ raw }) => Object.assign(raw, { writableNeedDrain: true }), true],
  ])("is not told %s", (_where, prepare, progress, mayBegin = true) => {
    const opened = open({ options: { progress } });
    opened.stream.keepAlive(() => mayBegin);
    prepare(opened);
    opened.stream.progress(first);
    expect([opened.writes, opened.stats.heartbeats]).toEqual([[], 0]);
  });
});
