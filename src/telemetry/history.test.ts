import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Attempt } from "../core/attempt.ts";
import { createExchangeStats, type Exchange, type ExchangeEnd } from "../core/exchange.ts";
import { Failure, type FailureCode } from "../core/failure.ts";
import { createHistory, type History, sumHistories } from "./history.ts";

const SECRET = "S3CRET";

beforeEach(() => void vi.useFakeTimers({ now: new Date(2026, 5, 1, 12, 30), toFake: ["Date", "performance"] }));
afterEach(() => void vi.useRealTimers());

function attempt(number: number, failure?: FailureCode, status: number | undefined = 200): Attempt {
  return { number, upstream: "main", startedAt: Date.now(), durationMs: 0, failure, status };
}

function exchange(id = "ex1", more: Partial<Exchange> = {}): Exchange {
  return {
    id,
    api: { dialect: { name: "chat" }, request: { model: "m", stream: true } } as unknown as NonNullable<Exchange["api"]>,
    request: { method: "POST", path: `/x?${SECRET}`, headers: { authorization: SECRET }, body: Buffer.from(SECRET) },
    overrides: {},
    startedAt: Date.now(),
    arrivedAt: performance.now(),
    readAt: performance.now(),
    signal: new AbortController().signal,
    abort() {},
    attempts: [],
    stats: createExchangeStats(),
    ...more,
  };
}

function end(outcome: ExchangeEnd["outcome"] = "complete", failure?: FailureCode): ExchangeEnd {
  return { outcome, failure, status: 200, durationMs: 50, defect: undefined };
}

/** From arrival to end, with what its attempts came to. */
function live(history: History, id: string, outcome: ExchangeEnd["outcome"], tried: readonly Attempt[], characters = 0): void {
  const each = exchange(id);
  history.observer.onExchangeStart?.(each);
  const { failure } = tried.at(-1) ?? {};
  each.attempts = tried;
  each.stats.characters = characters;
  for (const one of tried) history.observer.onAttemptEnd?.(each, one);
  history.observer.onExchangeEnd?.(each, end(outcome, outcome === "complete" || outcome === "recovered" ? undefined : failure));
}

describe("a stream that runs", () => {
  it("is held while nobody can be asked, is waiting, is mended, flows, and has ended", () => {
    const history = createHistory();
    const { observer } = history;
    const each = exchange();
    const states = (): unknown => history.find("ex1")?.state.at;
    observer.onExchangeStart?.(each);
    expect(states()).toBe("held");
    const first = attempt(1);
    each.attempts = [first];
    observer.onAttemptStart?.(each, first);
    expect(states()).toBe("waiting");
    vi.advanceTimersByTime(100);
    expect(history.find("ex1")).toMatchObject({ ms: 100, attempts: [{ n: 1, running: true, ms: 100 }] });
    Object.assign(first, { failure: "empty_stream", durationMs: 100 });
    observer.onAttemptEnd?.(each, first);
    observer.onRetry?.(each, first, new Failure("empty_stream", "x"), 900);
    expect(states()).toBe("retrying");
    expect(history.view().open).toMatchObject({ count: 1, retrying: 1, streams: [{ id: "ex1" }] });
    vi.advanceTimersByTime(900);
    const second = attempt(2);
    each.attempts = [first, second];
    observer.onAttemptStart?.(each, second);
    vi.advanceTimersByTime(50);
    observer.onCommit?.(each, second);
    expect(states()).toBe("flowing");
    each.stats.characters = 300;
    observer.onExchangeEnd?.(each, end("recovered"));
    expect(history.find("ex1")).toMatchObject({
      state: { at: "ended", outcome: "recovered" },
      committedMs: 1_050,
      attempts: [
        { n: 1, failure: "empty_stream", fault: "upstream", atMs: 0, ms: 100, waitMs: 900, running: false },
        { n: 2, failure: undefined, atMs: 1_000, running: false },
      ],
    });
    expect(history.view().open.count).toBe(0);
    expect(history.view().today).toMatchObject({ recovered: 1, characters: 300, total: 1 });
  });

  it("waits for a connection, and is counted at the upstream that it waits for", () => {
    const history = createHistory();
    const each = exchange();
    history.observer.onExchangeStart?.(each);
    history.observer.onQueueStart?.(each, "main");
    expect(history.view()).toMatchObject({ open: { queued: 1 }, queues: { main: 1 } });
    each.stats.waitedMs = 70.4;
    history.observer.onQueueEnd?.(each, "main", 70.4);
    expect(history.view().queues).toEqual({});
    expect(history.find("ex1")).toMatchObject({ state: { at: "waiting" }, queuedMs: 70 });
  });

  it("flows on when its answer goes on over a break, and says by what", () => {
    const history = createHistory();
    const each = exchange();
    history.observer.onExchangeStart?.(each);
    const paidTwice = { tokens: 40, from: "estimate" } as const;
    const tried = [attempt(1, "stream_truncated"), { ...attempt(2), paidTwice }] as const;
    each.attempts = tried;
    history.observer.onAttemptStart?.(each, tried[0]);
    history.observer.onCommit?.(each, tried[0]);
    history.observer.onAttemptEnd?.(each, tried[0]);
    history.observer.onRetry?.(each, tried[0], new Failure("stream_truncated", "x"), 0);
    expect(history.find("ex1")?.state.at).toBe("retrying");
    history.observer.onAttemptStart?.(each, tried[1]);
    expect(history.find("ex1")?.state.at).toBe("flowing");
    history.observer.onExchangeEnd?.(each, { ...end("resumed"), seams: ["native"] });
    expect(history.find("ex1")?.state).toMatchObject({ outcome: "resumed", seams: ["native"], paidTwice });
    expect(history.view().today).toMatchObject({ resumed: 1, recovered: 0 });
  });

  it("has a speed once it was looked at twice", () => {
    const history = createHistory();
    const each = exchange();
    history.observer.onExchangeStart?.(each);
    history.view();
    vi.advanceTimersByTime(1_000);
    each.stats.characters = 80;
    const [row] = history.view().open.streams;
    expect(row?.perSecond).toBe(80);
    expect(history.view().open.perSecond).toBe(80);
  });

  it("is listed before calm ones when it is in trouble, and only so many are", () => {
    const history = createHistory();
    for (let n = 0; n < 100; n++) {
      const calm = exchange(`calm-${n}`);
      history.observer.onExchangeStart?.(calm);
      history.observer.onAttemptStart?.(calm, attempt(1));
    }
    const troubled = exchange("troubled");
    history.observer.onExchangeStart?.(troubled);
    history.observer.onRetry?.(troubled, attempt(1, "empty_stream"), new Failure("empty_stream", "x"), 1);
    const { count, streams } = history.view().open;
    expect(count).toBe(101);
    expect(streams[0]?.id).toBe("troubled");
    expect(streams).toHaveLength(40);
  });
});

describe("what is kept", () => {
  it("holds nothing of what was asked: no body, no header, no path", () => {
    const history = createHistory();
    live(history, "ex1", "failed", [attempt(1, "upstream_status", 500)]);
    expect(JSON.stringify([history.view(), history.find("ex1")])).not.toContain(SECRET);
  });

  it("is bounded: the oldest are forgotten", () => {
    const history = createHistory();
    for (let n = 0; n < 2_500; n++) live(history, `ex${n}`, "complete", [attempt(1)]);
    expect(history.find("ex0")).toBeUndefined();
    expect(history.find("ex499")).toBeUndefined();
    expect(history.find("ex500")?.id).toBe("ex500");
    expect(
      history
        .view()
        .recent.map(({ id }) => id)
        .slice(0, 2),
    ).toEqual(["ex2499", "ex2498"]);
    expect(history.view().recent).toHaveLength(40);
    expect(history.view().total).toBe(2_500);
  });

  it("does not lose what broke among what did not", () => {
    const history = createHistory();
    live(history, "broken", "interrupted", [attempt(1, "stream_truncated")]);
    for (let n = 0; n < 500; n++) live(history, `ex${n}`, "complete", [attempt(1)]);
    expect(history.view().troubled.map(({ id }) => id)).toEqual(["broken"]);
    expect(history.view().recent.map(({ id }) => id)).not.toContain("broken");
  });

  it("keeps the first and the last of very many attempts, as an outage has them", () => {
    const history = createHistory();
    const tried = Array.from({ length: 500 }, (_, n) => attempt(n + 1, "upstream_unreachable"));
    live(history, "ex1", "failed", tried);
    const numbers = history.find("ex1")?.attempts.map(({ n }) => n);
    expect([numbers?.length, numbers?.[7], numbers?.[8], numbers?.at(-1)]).toEqual([24, 8, 485, 500]);
  });

  it("cuts a model's name that a client made very long", () => {
    const history = createHistory();
    const request = { model: "m".repeat(5_000), stream: true };
    history.observer.onExchangeStart?.(exchange("ex1", { api: { dialect: { name: "chat" }, request } as never }));
    expect(history.find("ex1")?.model).toHaveLength(200);
  });

  it("counts a refusal, which has no exchange", () => {
    const history = createHistory();
    const refusal = { id: "r1", method: "POST", path: `/v1/${SECRET}`, status: 401, durationMs: 1, defect: undefined };
    history.observer.onRejected?.({ ...refusal, failure: "unauthorized" });
    expect(history.find("r1")?.state).toMatchObject({ outcome: "rejected", fault: "request" });
    expect(history.view().causes).toEqual([{ upstream: undefined, code: "unauthorized", fault: "request", count: 1 }]);
    expect(JSON.stringify(history.find("r1"))).not.toContain(SECRET);
  });
});

describe("the last hour", () => {
  it("has a minute for each of sixty, and forgets what is older", () => {
    const history = createHistory();
    live(history, "a", "complete", [attempt(1)]);
    expect(history.view().minutes).toHaveLength(60);
    expect(history.view().minutes.at(-1)?.outcomes).toEqual({ complete: 1 });
    vi.advanceTimersByTime(59 * 60_000);
    live(history, "b", "interrupted", [attempt(1, "stream_truncated")]);
    expect(history.view().minutes[0]?.outcomes).toEqual({ complete: 1 });
    expect(history.view().minutes.at(-1)).toMatchObject({ outcomes: { interrupted: 1 }, lost: 1 });
    vi.advanceTimersByTime(60_000);
    expect(history.view().minutes[0]?.outcomes).toEqual({});
    vi.advanceTimersByTime(120 * 60_000);
    expect(history.view()).toMatchObject({ causes: [], tallies: [], firstToken: { hour: undefined } });
  });

  it("says who failed: the upstream, or the request that it refused", () => {
    const history = createHistory();
    live(history, "a", "failed", [attempt(1, "upstream_status", 503)]);
    live(history, "b", "failed", [attempt(1, "upstream_status", 429)]);
    live(history, "c", "failed", [attempt(1, "upstream_status", 401)]);
    live(history, "d", "cancelled", [attempt(1, "client_gone")]);
    expect(history.view().causes).toEqual([
      { upstream: "main", code: "upstream_status", fault: "upstream", count: 2 },
      { upstream: "main", code: "upstream_status", fault: "request", count: 1 },
    ]);
    expect(history.view().tallies).toEqual([{ name: "main", attempts: 4, failed: 2, lately: { attempts: 4, failed: 2 } }]);
    expect(history.view().minutes.at(-1)?.lost).toBe(2);
  });

  it("knows the median and the slowest hundredth", () => {
    const history = createHistory();
    for (let n = 1; n <= 100; n++) {
      const each = exchange(`ex${n}`);
      history.observer.onExchangeStart?.(each);
      Object.assign(each.stats, { firstTokenMs: n * 10, longestGapMs: n });
      history.observer.onExchangeEnd?.(each, end());
    }
    expect(history.view().firstToken.hour).toEqual({ count: 100, p50: 510, p99: 1_000 });
    expect(history.view().longestGap.minutes.at(-1)).toEqual({ count: 100, p50: 51, p99: 100 });
    expect(history.view().longestGap.minutes[0]).toBeNull();
  });

  it("counts as saved what had failed at first, and endings that were supplied apart from that", () => {
    const history = createHistory();
    live(history, "a", "recovered", [attempt(1, "empty_stream"), attempt(2)], 10);
    live(history, "b", "repaired", [attempt(1, "empty_stream"), attempt(2)], 10);
    live(history, "c", "repaired", [attempt(1)], 10);
    live(history, "d", "interrupted", [attempt(1, "stream_truncated")], 10);
    live(history, "e", "complete", [attempt(1)], 10);
    expect(history.view().today).toMatchObject({
      recovered: 2,
      repaired: 1,
      resumed: 0,
      characters: 20,
      interrupted: 1,
      total: 5,
    });
  });

  it("begins a new day at midnight", () => {
    const history = createHistory();
    live(history, "a", "recovered", [attempt(1, "empty_stream"), attempt(2)], 10);
    expect(history.view().today).toMatchObject({ recovered: 1, characters: 10 });
    vi.setSystemTime(new Date(2026, 5, 2, 0, 0, 1));
    expect(history.view().today).toMatchObject({ recovered: 0, characters: 0, since: new Date(2026, 5, 2).getTime() });
  });
});

describe("what several processes have seen", () => {
  it("is what one would have seen, each stream in its place", () => {
    const [one, two, all] = [createHistory(), createHistory(), createHistory()];
    const see = (history: History, id: string, outcome: ExchangeEnd["outcome"], tried: readonly Attempt[]): void => {
      for (const each of [history, all]) live(each, id, outcome, tried, 7);
      vi.advanceTimersByTime(1_000);
    };
    see(one, "a", "complete", [attempt(1)]);
    see(two, "b", "recovered", [attempt(1, "empty_stream"), attempt(2)]);
    see(two, "c", "interrupted", [attempt(1, "stream_truncated")]);
    vi.advanceTimersByTime(60_000);
    see(one, "d", "recovered", [attempt(1, "empty_stream"), attempt(2)]);
    const calm = exchange("calm", { attempts: [attempt(1)] });
    for (const history of [one, all]) history.observer.onExchangeStart?.(calm);
    for (const history of [one, all]) history.observer.onAttemptStart?.(calm, attempt(1));
    vi.advanceTimersByTime(10);
    const mended = exchange("mended", { attempts: [attempt(1, "empty_stream"), attempt(2)] });
    for (const history of [two, all]) history.observer.onExchangeStart?.(mended);
    for (const history of [two, all]) history.observer.onQueueStart?.(mended, "main");
    const sum = sumHistories([one.part(), structuredClone(two.part())]);
    expect(sum).toEqual(all.view());
    expect(sum.open.streams.map(({ id }) => id)).toEqual(["mended", "calm"]);
    expect(sum.recent.map(({ id }) => id)).toEqual(["d", "c", "b", "a"]);
    expect(sum.today).toMatchObject({ recovered: 2, interrupted: 1, total: 4, characters: 14 });
  });

  it("takes as large a share of each one's times as it has seen, however many it kept", () => {
    const [busy, quiet] = [createHistory(), createHistory()];
    const time = (history: History, count: number, firstTokenMs: number): void => {
      for (let n = 0; n < count; n++) {
        const each = exchange(`${firstTokenMs}-${n}`);
        each.stats.firstTokenMs = firstTokenMs;
        history.observer.onExchangeEnd?.(each, end());
      }
    };
    time(busy, 2_000, 100);
    time(quiet, 400, 9_000);
    // A sixth of all was slow, although each of them has kept 200.
    const { firstToken } = sumHistories([busy.part(), quiet.part()]);
    expect(firstToken.hour).toMatchObject({ count: 240, p50: 100, p99: 9_000 });
  });
});
