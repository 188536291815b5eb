/** One exchange as the dashboard keeps it: what is counted and timed of it, and nothing of what it holds. */
import { type Attempt, decisiveOf, paidTwiceBy } from "../../core/attempt.ts";
import type { Exchange, ExchangeEnd } from "../../core/exchange.ts";
import type { Refusal } from "../../core/observer.ts";
import { outcomeOfRefusal } from "../../core/outcome.ts";
import { faultOf } from "./fault.ts";
import type { AttemptView, EndedStream, StreamState, StreamView } from "./view.ts";

/** The client names the model, so it could be anything, of any length. */
const MAX_MODEL_LENGTH = 200;
const PASSTHROUGH = "passthrough";
const FIRST_ATTEMPTS = 8;
const LAST_ATTEMPTS = 16;
/** A rate is of so many milliseconds at least: of less it would jump. */
const RATE_MS = 900;

type OpenState = Exclude<StreamState["at"], "ended">;

/** An exchange that is running. */
export class OpenStream {
  #exchange: Pick<Exchange, "id" | "api" | "startedAt" | "arrivedAt" | "stats" | "attempts">;
  readonly #waits = new Map<number, number>();
  /** When each attempt began; not by the time of day, which may be set back. */
  readonly #begunMs = new Map<number, number>();
  #committedMs: number | undefined;
  #state: OpenState = "held";
  /** For which upstream's connection it waits. */
  #queue: string | undefined;
  #sampled: { at: number; characters: number };
  #perSecond: number | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#sampled = { at: exchange.arrivedAt, characters: 0 };
  }

  get state(): OpenState {
    return this.#state;
  }

  get perSecond(): number {
    return this.#perSecond ?? 0;
  }

  get attemptCount(): number {
    return this.#exchange.attempts.length;
  }

  /** The upstream for one of whose connections it waits, if it does. */
  get queue(): string | undefined {
    return this.#queue;
  }

  queueAt(upstream: string | undefined): void {
    this.#queue = upstream;
    this.#state = upstream === undefined ? "waiting" : "queued";
  }

  /** A rate limit makes it wait, or not any more. */
  limit(isWaiting: boolean): void {
    this.#state = isWaiting ? "queued" : "waiting";
  }

  begin({ number }: Attempt): void {
    // After the commit it goes on with an answer of which its client has the beginning.
    this.#state = this.#committedMs === undefined ? "waiting" : "flowing";
    this.#begunMs.set(number, this.#sinceArrival());
  }

  putOff(attempt: Attempt, delayMs: number): void {
    this.#state = "retrying";
    this.#waits.set(attempt.number, Math.round(delayMs));
  }

  commit(): void {
    this.#state = "flowing";
    this.#committedMs = this.#sinceArrival();
  }

  /** Measures how fast it flows. Asked about once a second, while somebody looks. */
  sample(now: number): void {
    const { characters } = this.#exchange.stats;
    const spanMs = now - this.#sampled.at;
    if (spanMs < RATE_MS) return;
    this.#perSecond = Math.round(((characters - this.#sampled.characters) * 1_000) / spanMs);
    this.#sampled = { at: now, characters };
  }

  view(): StreamView {
    return this.#viewAs({ at: this.#state }, this.#sinceArrival(), this.#perSecond);
  }

  /** What is kept of it: nothing leads back to the exchange, which holds the request's body. */
  ended({ outcome, failure, status, durationMs, seams = [], seam }: ExchangeEnd): EndedStream {
    const asked = decisiveOf(this.#exchange.attempts)?.status;
    const fault = failure === undefined ? undefined : faultOf(failure, asked);
    const paidTwice = paidTwiceBy(this.#exchange.attempts);
    const view = this.#viewAs({ at: "ended", outcome, failure, fault, status, seams, seam, paidTwice }, durationMs, undefined);
    // A map that it was in may keep it for long, see LinkedList; the request must not stay with it.
    const { id, startedAt, arrivedAt, stats, attempts } = this.#exchange;
    this.#exchange = { id, api: undefined, startedAt, arrivedAt, stats, attempts };
    return view;
  }

  #viewAs<State extends StreamState>(state: State, ms: number, perSecond: number | undefined): StreamView & { state: State } {
    const { id, api, startedAt, stats, attempts } = this.#exchange;
    return {
      id,
      startedAt,
      ms,
      dialect: api?.dialect.name ?? PASSTHROUGH,
      streamed: api?.request.stream ?? false,
      model: shorten(api?.request.model),
      upstream: decisiveOf(attempts)?.upstream,
      state,
      attempts: tellingOf(attempts).map((attempt) => this.#viewAttempt(attempt, state)),
      queuedMs: stats.waitedMs === undefined ? undefined : Math.round(stats.waitedMs),
      limitedMs: stats.limitedMs === undefined ? undefined : Math.round(stats.limitedMs),
      committedMs: this.#committedMs,
      firstTokenMs: stats.firstTokenMs === undefined ? undefined : Math.round(stats.firstTokenMs),
      longestGapMs: stats.longestGapMs,
      characters: stats.characters,
      perSecond,
      events: stats.events,
      bytes: stats.bytes,
      heartbeats: stats.heartbeats,
    };
  }

  #sinceArrival(): number {
    return Math.round(performance.now() - this.#exchange.arrivedAt);
  }

  #viewAttempt(attempt: Attempt, state: StreamState): AttemptView {
    const { number, upstream, durationMs, status, failure, lost } = attempt;
    const atMs = this.#begunMs.get(number) ?? 0;
    // Two may run at the same time (`hedge`).
    const isOver = failure !== undefined || lost === true || state.at === "retrying" || state.at === "ended";
    const running = !isOver && state.at !== "queued";
    return {
      n: number,
      upstream,
      atMs,
      ms: running ? this.#sinceArrival() - atMs : Math.round(durationMs),
      running,
      status,
      failure,
      fault: failure === undefined ? undefined : faultOf(failure, status),
      lost,
      waitMs: this.#waits.get(number),
    };
  }
}

/** An outage may be asked about hundreds of times: how it began, and how it ended. */
function tellingOf(attempts: readonly Attempt[]): readonly Attempt[] {
  const isMany = attempts.length > FIRST_ATTEMPTS + LAST_ATTEMPTS;
  return isMany ? [...attempts.slice(0, FIRST_ATTEMPTS), ...attempts.slice(-LAST_ATTEMPTS)] : attempts;
}

/** A request that was answered without becoming an exchange. */
export function viewRefusal({ id, failure, status, durationMs }: Refusal, now: number): EndedStream {
  const ms = Math.round(durationMs);
  return {
    id,
    startedAt: now - ms,
    ms,
    dialect: PASSTHROUGH,
    streamed: false,
    model: undefined,
    upstream: undefined,
    state: {
      at: "ended",
      outcome: outcomeOfRefusal(failure),
      failure,
      fault: faultOf(failure),
      status,
      seams: [],
      seam: undefined,
    },
    attempts: [],
    queuedMs: undefined,
    limitedMs: undefined,
    committedMs: undefined,
    firstTokenMs: undefined,
    longestGapMs: undefined,
    characters: 0,
    perSecond: undefined,
    events: 0,
    bytes: 0,
    heartbeats: 0,
  };
}

/** A copy: a part of a long text would keep all of it in memory. */
function shorten(model: string | undefined): string | undefined {
  if (model === undefined || model.length <= MAX_MODEL_LENGTH) return model;
  return Buffer.from(model.slice(0, MAX_MODEL_LENGTH)).toString();
}
