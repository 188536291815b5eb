/** What the dashboard shows, in a bounded piece of memory: what runs, what has ended lately, and the last hour in numbers. */
import type { Exchange } from "../core/exchange.ts";
import type { Observer } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";
import { faultOf } from "./history/fault.ts";
import { LastHour, type Minute } from "./history/last-hour.ts";
import { Ring } from "./history/ring.ts";
import { OpenStream, viewRefusal } from "./history/stream-record.ts";
import type { EndedStream, HistoryView, Saved, StreamView } from "./history/view.ts";

/** Ended exchanges that can still be found by their id. */
const KEPT = 2_000;
/** Rows of the page: nobody reads more, and a browser would feel them. */
const MAX_OPEN_ROWS = 40;
const MAX_RECENT_ROWS = 40;

export interface History {
  readonly observer: Observer;
  view(): HistoryView;
  /** The same, to be added to what other processes have seen: see sumHistories. */
  part(): HistoryPart;
  /** @returns undefined for an id that is not known, or not any more. */
  find(id: string): StreamView | undefined;
}

/** What one process has seen. */
export interface HistoryPart extends Omit<HistoryView, "minutes" | "causes" | "firstToken" | "longestGap" | "tallies"> {
  readonly hour: readonly Minute[];
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export function createHistory(): History {
  const startedAt = Date.now();
  const open = new Map<string, OpenStream>();
  const ended = new Ring<string>(KEPT);
  /** Those of `ended` that were not simply complete, and that no client broke off. */
  const troubled = new Ring<string>(MAX_RECENT_ROWS);
  const byId = new Map<string, StreamView>();
  const hour = new LastHour();
  let total = 0;
  let today = beginDay(startedAt);

  function keep(stream: EndedStream, outcome: Outcome): void {
    const now = Date.now();
    const { failure, fault } = stream.state;
    const forgotten = ended.push(stream.id);
    if (forgotten !== undefined) byId.delete(forgotten);
    byId.set(stream.id, stream);
    if (outcome !== "complete" && outcome !== "cancelled") troubled.push(stream.id);
    total++;
    if (!isSameDay(today.since, now)) today = beginDay(midnight(now));
    count(today, stream);
    hour.countOutcome(now, outcome, fault);
    if (failure !== undefined && stream.attempts.length === 0) hour.countCause(now, undefined, failure);
    if (stream.firstTokenMs !== undefined) hour.measure(now, "firstToken", stream.firstTokenMs);
    if (stream.longestGapMs !== undefined) hour.measure(now, "longestGap", stream.longestGapMs);
  }

  function latestOf(ids: Ring<string>): StreamView[] {
    const streams: StreamView[] = [];
    for (const id of ids.latest()) {
      const stream = byId.get(id);
      if (stream !== undefined) streams.push(stream);
      if (streams.length === MAX_RECENT_ROWS) break;
    }
    return streams;
  }

  function standing() {
    const now = Date.now();
    if (!isSameDay(today.since, now)) today = beginDay(midnight(now));
    return {
      now,
      startedAt,
      open: viewOpen(open),
      total,
      today,
      queues: countQueues(open.values()),
      recent: latestOf(ended),
      troubled: latestOf(troubled),
    };
  }

  const observer: Observer = {
    onExchangeStart: (exchange) => void open.set(exchange.id, new OpenStream(exchange)),
    onQueueStart: ({ id }, upstream) => open.get(id)?.queueAt(upstream),
    onQueueEnd: ({ id }) => open.get(id)?.queueAt(undefined),
    onRateWaitStart: ({ id }) => open.get(id)?.limit(true),
    onRateWaitEnd: ({ id }) => open.get(id)?.limit(false),
    onAttemptStart: ({ id }, attempt) => open.get(id)?.begin(attempt),
    onRetry: ({ id }, attempt, _failure, delayMs) => open.get(id)?.putOff(attempt, delayMs),
    onCommit: ({ id }) => open.get(id)?.commit(),

    onAttemptEnd(_exchange, { upstream, failure, status }) {
      const now = Date.now();
      // Neither a client that leaves nor a request that makes no sense says anything of the upstream.
      hour.countAttempt(now, upstream, failure !== undefined && faultOf(failure, status) === "upstream");
      if (failure !== undefined && failure !== "client_gone") hour.countCause(now, upstream, failure, status);
    },

    onExchangeEnd(exchange: Exchange, end) {
      const stream = open.get(exchange.id) ?? new OpenStream(exchange);
      open.delete(exchange.id);
      keep(stream.ended(end), end.outcome);
    },

    onRejected(refusal) {
      keep(viewRefusal(refusal, Date.now()), outcomeOfRefusal(refusal.failure));
    },
  };

  return {
    observer,
    find: (id) => open.get(id)?.view() ?? byId.get(id),
    view: () => ({ ...standing(), ...viewHour(hour, Date.now()) }),
    part: () => ({ ...standing(), hour: hour.raw }),
  };
}

function viewHour(hour: LastHour, now: number) {
  return {
    minutes: hour.minutes(now),
    causes: hour.causes(now),
    firstToken: hour.timing(now, "firstToken"),
    longestGap: hour.timing(now, "longestGap"),
    tallies: hour.tallies(now),
  };
}

function viewOpen(open: ReadonlyMap<string, OpenStream>): HistoryView["open"] {
  const now = performance.now();
  const counts = { held: 0, queued: 0, waiting: 0, retrying: 0, flowing: 0 };
  let perSecond = 0;
  const troubled: OpenStream[] = [];
  const calm: OpenStream[] = [];
  for (const stream of open.values()) {
    stream.sample(now);
    counts[stream.state]++;
    perSecond += stream.perSecond;
    const list = stream.state === "held" || stream.state === "retrying" || stream.attemptCount > 1 ? troubled : calm;
    if (list.length < MAX_OPEN_ROWS) list.push(stream);
  }
  const streams = [...troubled, ...calm].slice(0, MAX_OPEN_ROWS).map((stream) => stream.view());
  return { count: open.size, ...counts, perSecond, streams };
}

/** @param parts of one process each; one at least. */
export function sumHistories(parts: readonly HistoryPart[]): HistoryView {
  const now = Math.max(...parts.map((part) => part.now));
  const sum = (of: (part: HistoryPart) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const latest = (of: (part: HistoryPart) => readonly StreamView[]): StreamView[] =>
    parts
      .flatMap(of)
      .sort((a, b) => b.startedAt + b.ms - (a.startedAt + a.ms))
      .slice(0, MAX_RECENT_ROWS);
  const queues: Record<string, number> = {};
  for (const part of parts) for (const [name, count] of Object.entries(part.queues)) queues[name] = (queues[name] ?? 0) + count;
  return {
    now,
    startedAt: Math.min(...parts.map((part) => part.startedAt)),
    open: {
      count: sum(({ open }) => open.count),
      held: sum(({ open }) => open.held),
      queued: sum(({ open }) => open.queued),
      waiting: sum(({ open }) => open.waiting),
      retrying: sum(({ open }) => open.retrying),
      flowing: sum(({ open }) => open.flowing),
      perSecond: sum(({ open }) => open.perSecond),
      streams: inTrouble(parts.flatMap(({ open }) => open.streams)).slice(0, MAX_OPEN_ROWS),
    },
    total: sum(({ total }) => total),
    today: sumDays(parts.map(({ today }) => today)),
    ...viewHour(LastHour.sum(parts.map(({ hour }) => hour)), now),
    queues,
    recent: latest(({ recent }) => recent),
    troubled: latest(({ troubled }) => troubled),
  };
}

function sumDays(days: readonly Saved[]): Saved {
  const sum = beginDay(Math.min(...days.map(({ since }) => since)));
  for (const { since: _, ...counts } of days) {
    for (const [name, count] of Object.entries(counts) as [keyof typeof counts, number][]) sum[name] += count;
  }
  return sum;
}

/** Those in trouble first, then the oldest. */
function inTrouble(streams: readonly StreamView[]): StreamView[] {
  const trouble = ({ state, attempts }: StreamView): number =>
    Number(state.at === "held" || state.at === "retrying" || attempts.length > 1);
  return streams.toSorted((a, b) => trouble(b) - trouble(a) || a.startedAt - b.startedAt);
}

function countQueues(streams: Iterable<OpenStream>): Record<string, number> {
  const queues: Record<string, number> = {};
  for (const { queue } of streams) if (queue !== undefined) queues[queue] = (queues[queue] ?? 0) + 1;
  return queues;
}

function beginDay(since: number): Mutable<Saved> {
  return { recovered: 0, repaired: 0, resumed: 0, characters: 0, interrupted: 0, failed: 0, total: 0, since };
}

function count(today: Mutable<Saved>, { state: { outcome }, attempts, characters }: EndedStream): void {
  today.total++;
  if (outcome === "interrupted" || outcome === "failed") today[outcome]++;
  if (outcome !== "recovered" && outcome !== "repaired" && outcome !== "resumed") return;
  const hadFailed = attempts.some(({ failure }) => failure !== undefined);
  const kind = outcome === "repaired" && hadFailed ? "recovered" : outcome;
  today[kind]++;
  if (kind !== "repaired") today.characters += characters;
}

/** By the clock on the wall where Perennial runs. */
function isSameDay(a: number, b: number): boolean {
  return midnight(a) === midnight(b);
}

function midnight(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}
