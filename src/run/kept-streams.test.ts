import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Failure } from "../core/failure.ts";
import { HeldMemory } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import type { RunClient } from "./journal.ts";
import type { KeptEnd, ReadEnd } from "./kept-answer.ts";
import type { KeptStream } from "./kept-stream.ts";
import { KeptStreams } from "./kept-streams.ts";
import type { Run } from "./run.ts";
import type { KeepOptions } from "./stream-store.ts";

const api = { dialect: openAiChat, request: { stream: true, model: "m", choices: 1, includeUsage: false } };
const OPTIONS: KeepOptions = { ttl: 1_000, linger: 0, maxStreamBytes: 4_096, maxTotalBytes: 100_000 };
const WHOLE: KeptEnd = { kind: "answered", result: { kind: "streamed", repaired: false }, outcome: "complete", seams: [] };
const FAILED: KeptEnd = { kind: "failed", failure: new Failure("draining", "d"), message: "m", errorEvent: "e", seams: [] };
/** What an event of this size costs, kept. */
const EVENT_BYTES = 512;
const event: StreamEvent = { event: undefined, data: "x".repeat(EVENT_BYTES - 128 - 8), characters: 1 };

/** A client that takes what it is given, as long as it is willing. */
class FakeClient implements RunClient {
  events = 0;
  isWilling = true;
  mustTake = false;
  #drain = new Set<() => void>();
  progress(): void {}
  commit(): void {}
  push(): void {
    this.events++;
  }
  flush = (): boolean => this.isWilling;
  finish(): void {}
  takeOrLeave(): void {
    this.mustTake = true;
  }
  begin(): void {}
  write = (): boolean => true;
  onDrain(listener: () => void): () => void {
    this.#drain.add(listener);
    return () => void this.#drain.delete(listener);
  }
  drain(): void {
    this.isWilling = true;
    for (const listener of this.#drain) listener();
  }
}

let held = new HeldMemory();
let kept = new KeptStreams(held);
const open = (options: Partial<KeepOptions> = {}, name?: string): KeptStream =>
  kept.open({ client: "c", request: "r", api }, { ...OPTIONS, ...options }, name ? { kind: "retry", value: name } : undefined);

/** A read brings so many events. @returns whether more may come. */
function bring(stream: KeptStream, count: number): boolean {
  for (let n = 0; n < count; n++) stream.push(event, "content");
  return stream.flush();
}

function read(stream: KeptStream, client: RunClient, { after = 0, signal = new AbortController().signal } = {}) {
  const got: { end: ReadEnd | undefined } = { end: undefined };
  void stream.read(client, after, signal).then((end) => {
    got.end = end;
  });
  return got;
}

/** A stream that has begun. */
function begun(options: Partial<KeepOptions> = {}, name?: string) {
  const stream = open(options, name);
  const abort = vi.fn((failure: Failure) => {
    stream.close({ kind: "failed", failure, message: "m", errorEvent: "e", seams: [] });
  });
  stream.begunBy({ isTaken: true, abort } as unknown as Run);
  stream.commit({});
  return { stream, abort };
}

beforeEach(() => {
  vi.useFakeTimers();
  held = new HeldMemory();
  kept = new KeptStreams(held);
});
afterEach(() => {
  vi.useRealTimers();
});

describe("clients of one answer", () => {
  it("are given it at their own pace, which the fastest sets for the upstream", async () => {
    const { stream } = begun();
    const [fast, slow] = [new FakeClient(), new FakeClient()];
    read(stream, fast);
    const late = read(stream, slow);
    slow.isWilling = false;
    expect(bring(stream, 2)).toBe(true);
    expect(bring(stream, 2)).toBe(true);
    expect([fast.events, slow.events]).toEqual([4, 2]);
    slow.drain();
    expect(slow.events).toBe(4);
    stream.close(WHOLE);
    await vi.advanceTimersByTimeAsync(0);
    expect(late.end).toMatchObject({ kind: "over", end: WHOLE });
  });

  it("stop the upstream when none of them takes more, until one does", () => {
    const { stream } = begun();
    const drained = vi.fn();
    stream.onDrain(drained);
    const client = new FakeClient();
    read(stream, client);
    client.isWilling = false;
    expect(bring(stream, 1)).toBe(false);
    expect(drained).not.toHaveBeenCalled();
    client.drain();
    expect(drained).toHaveBeenCalledOnce();
  });

  it("start the upstream again when one comes that takes what it is given, though another takes nothing", () => {
    const { stream } = begun();
    const drained = vi.fn();
    stream.onDrain(drained);
    const [stuck, fresh] = [new FakeClient(), new FakeClient()];
    read(stream, stuck);
    stuck.isWilling = false;
    expect(bring(stream, 2)).toBe(false);
    read(stream, fresh, { after: 1 });
    expect(fresh.events).toBe(1);
    expect(drained).toHaveBeenCalledOnce();
    expect(bring(stream, 1)).toBe(true);
  });

  it("that are ended before they have all are told neither that it is whole nor an end that stands behind what they lack", async () => {
    for (const end of [WHOLE, FAILED]) {
      const stream = open();
      const abort = vi.fn();
      stream.begunBy({ isTaken: true, abort } as unknown as Run);
      stream.commit({});
      const [client, leaving] = [new FakeClient(), new AbortController()];
      const got = read(stream, client, { signal: leaving.signal });
      client.isWilling = false;
      bring(stream, 1);
      bring(stream, 2);
      leaving.abort(new Failure("overloaded", "no room"));
      expect(abort).toHaveBeenCalledOnce();
      stream.close(end);
      await vi.advanceTimersByTimeAsync(0);
      expect(client.events).toBe(1);
      expect(got.end).toMatchObject({ kind: "left", failure: { code: "overloaded" }, lastEvent: event });
    }
  });

  it("that lag so far that what they lack is not kept any more are told so, and no other", async () => {
    const { stream } = begun();
    const [fast, slow] = [new FakeClient(), new FakeClient()];
    const [well, badly] = [read(stream, fast), read(stream, slow)];
    slow.isWilling = false;
    bring(stream, 1);
    for (let n = 0; n < 20; n++) bring(stream, 1);
    slow.drain();
    await vi.advanceTimersByTimeAsync(0);
    expect(badly.end).toMatchObject({ kind: "left", failure: { code: "overloaded" }, lastEvent: event });
    expect(slow.events).toBe(1);
    expect([fast.events, well.end]).toEqual([21, undefined]);
    expect(stream.bytes).toBeLessThanOrEqual(OPTIONS.maxStreamBytes + 1_024);
  });

  it("read on when it is over, and when it is forgotten meanwhile, as long as they take anything", async () => {
    const { stream } = begun({ maxStreamBytes: 1_000_000, maxTotalBytes: 1_000_000 });
    bring(stream, 200);
    const client = new FakeClient();
    client.isWilling = false;
    stream.close(WHOLE);
    const got = read(stream, client, { after: 2 });
    await vi.advanceTimersByTimeAsync(OPTIONS.ttl + 1);
    expect(kept.here(stream.id)).toBeUndefined();
    expect(kept.bytes).toBeGreaterThan(200 * EVENT_BYTES);
    expect([client.events < 198, got.end, client.mustTake]).toEqual([true, undefined, true]);
    client.drain();
    await vi.advanceTimersByTimeAsync(10);
    expect([client.events, got.end?.kind, kept.bytes]).toEqual([198, "over", 0]);
  });
});

describe("leaving", () => {
  const leave = (linger: number) => {
    const { stream, abort } = begun({ linger });
    const controller = new AbortController();
    read(stream, new FakeClient(), { signal: controller.signal });
    bring(stream, 1);
    controller.abort(new Failure("client_gone", "left"));
    return { stream, abort };
  };

  it("ends the run when it has lasted for as long as is set, and coming back stops that", async () => {
    const { stream, abort } = leave(500);
    vi.advanceTimersByTime(499);
    expect(abort).not.toHaveBeenCalled();
    const controller = new AbortController();
    read(stream, new FakeClient(), { signal: controller.signal });
    bring(stream, 1);
    vi.advanceTimersByTime(1_000);
    expect(abort).not.toHaveBeenCalled();
    controller.abort(new Failure("client_gone", "left"));
    bring(stream, 3);
    vi.advanceTimersByTime(500);
    expect(abort).toHaveBeenCalledOnce();
    expect(stream.lingered).toMatchObject({ characters: 3 });
  });

  it("ends it at once when Perennial ends, and then leaves nothing to come back to", async () => {
    const { abort } = leave(500);
    const { stream: later, abort: abortLater } = begun({ linger: 500 });
    const controller = new AbortController();
    read(later, new FakeClient(), { signal: controller.signal });
    kept.drain();
    expect(abort).toHaveBeenCalledOnce();
    expect(abortLater).not.toHaveBeenCalled();
    controller.abort(new Failure("client_gone", "left"));
    expect(abortLater).toHaveBeenCalledOnce();
  });

  it("ends it before, where more has come than is kept: none of it could be given", async () => {
    const { stream, abort } = leave(500);
    for (let n = 0; n < 8; n++) bring(stream, 1);
    await vi.advanceTimersByTimeAsync(0);
    expect(abort).toHaveBeenCalledOnce();
    expect(stream.canGiveAfter(1)).toBe(true);
  });
});

describe("a body that is passed on, and cannot be kept", () => {
  it.each(["after it began", "before"])("ends when its last client leaves %s, however long is set", async (when) => {
    const stream = open({ linger: 500 });
    const abort = vi.fn();
    stream.begunBy({ isTaken: true, abort } as unknown as Run);
    const controller = new AbortController();
    read(stream, new FakeClient(), { signal: controller.signal });
    if (when === "before") controller.abort(new Failure("client_gone", "left"));
    stream.begin(200, {});
    controller.abort(new Failure("client_gone", "left"));
    await vi.advanceTimersByTimeAsync(0);
    expect(abort).toHaveBeenCalledOnce();
  });
});

describe("what is kept", () => {
  it("is bounded in all: what has been over for longest goes first, then what is the oldest of what is made", () => {
    const options = { maxTotalBytes: 12_000, maxStreamBytes: 8_000 };
    const streams = [begun(options), begun(options), begun(options)].map(({ stream }) => stream);
    for (const stream of streams) bring(stream, 4);
    streams[1]?.close(WHOLE);
    streams[0]?.close(WHOLE);
    const fourth = begun(options).stream;
    bring(fourth, 4);
    expect(streams.map(({ id }) => kept.here(id) !== undefined)).toEqual([true, false, true]);
    bring(fourth, 8);
    expect(streams.map(({ id }) => kept.here(id) !== undefined)).toEqual([false, false, true]);
    bring(fourth, 40);
    expect(kept.bytes).toBeLessThanOrEqual(options.maxTotalBytes);
    expect(streams[2]?.canGiveAfter(0)).toBe(true);
  });

  it("goes before anything that is in use when memory is short", async () => {
    const { stream } = begun();
    bring(stream, 6);
    stream.close(WHOLE);
    held.maxBytes = kept.bytes + 1_000;
    held.admit(1_001);
    expect(kept.size).toBe(0);
    expect(kept.bytes).toBe(0);
  });

  it("is not an answer in one piece that is larger than what is kept of one: its readers have it, and nobody else", async () => {
    const small = begun();
    small.stream.close(WHOLE);
    const stream = open({ maxTotalBytes: 8_192 }, "a");
    const got = read(stream, new FakeClient());
    const body = Buffer.alloc(OPTIONS.maxStreamBytes + 1);
    const result = { kind: "reply", status: 200, headers: {}, body, repaired: false } as const;
    stream.close({ kind: "answered", result, outcome: "complete", seams: [] });
    await vi.advanceTimersByTimeAsync(0);
    expect(got.end).toMatchObject({ kind: "over", end: { result: { body } } });
    expect([kept.here(stream.id), kept.findNamed({ kind: "retry", value: "a" })]).toEqual([undefined, undefined]);
    expect([kept.here(small.stream.id), kept.bytes]).toEqual([small.stream, small.stream.bytes]);
  });

  it("has the name of its request until another has it, or nothing of it can be given", () => {
    const failed: KeptEnd = {
      kind: "failed",
      failure: new Failure("stream_truncated", "x"),
      message: "m",
      errorEvent: "e",
      seams: [],
    };
    const named = (value: string): KeptStream | undefined => kept.findNamed({ kind: "retry", value });
    const first = open({}, "a");
    const second = begun({}, "a").stream;
    first.close(failed);
    expect([named("a"), kept.here(first.id)]).toEqual([second, undefined]);
    second.close(failed);
    expect(named("a")).toBe(second);
    const third = begun({}, "b").stream;
    third.close({ ...failed, failure: new Failure("client_gone", "left") });
    expect([named("b"), kept.here(third.id)]).toEqual([undefined, third]);
  });
});
