/** While an upstream is out, lets one exchange at a time ask it for all that wait; the others follow in order when it answers. */
import type { Failure } from "../core/failure.ts";

/** An exchange that wants to ask. */
export interface Asker {
  /** On the clock of `performance.now()`: those that came first go first. */
  readonly arrivedAt: number;
  /**
   * How often it has asked in vain. Of those that wait, the one that has asked least asks next, so that a request which
   * the upstream cannot bear does not keep it out for all others.
   */
  readonly asked: number;
  /** It has not waited here before. */
  readonly isNew: boolean;
  readonly pace: OutagePace;
  readonly signal: AbortSignal;
}

/** How an upstream that is out is asked. All times in milliseconds. */
export interface OutagePace {
  /** An outage that has lasted longer is passed on: each request is asked once, as it would be without Perennial. */
  readonly limitMs: number;
  /** Until it is asked again, after so many failures in a row. */
  pauseMs(failures: number): number;
}

/** Leave to ask. It ends in one of these ways; what is said after the first of them has no effect. */
export interface Turn {
  /** The upstream is known to be out, and others wait for what comes of it. */
  readonly asksForAll: boolean;
  /** The upstream works on the request, or has answered it. */
  works(): void;
  /** It turned the request away. @returns how things stand now. */
  isOut(failure: Failure): OutageView;
  /** Nothing was learned. */
  giveBack(): void;
}

/** An upstream that is out. All times in milliseconds. */
export interface OutageView {
  /** With which it was last seen to be out, by whichever request. */
  readonly failure: Failure;
  readonly lastedMs: number;
  /** Until it is asked next. */
  readonly waitMs: number;
  /** It was found to fail too often, and rests: its clients cannot do anything with how it failed last. */
  readonly rests?: boolean;
  /** For how long outages have kept one exchange waiting, of whichever upstreams; where it is one's that is told how things stand. */
  readonly keptMs?: number;
}

/** An upstream that is out, as those see it who could ask another one. */
export interface OutageStanding extends OutageView {
  /** Another asks it, or waits to ask. */
  readonly isTaken: boolean;
}

/** An upstream that is out, as those see it who only watch. */
export interface OutageSight extends OutageView {
  /** One asks it at this moment for all. */
  readonly isAsking: boolean;
  readonly waiting: number;
}

type State =
  | { readonly at: "up" }
  | {
      readonly at: "out";
      /** On the clock of `performance.now()`, as all times here. */
      readonly since: number;
      failure: Failure;
      failedAt: number;
      askAt: number;
      /** In a row, of those that asked for all. */
      failures: number;
      isAsking: boolean;
      rests: boolean;
    };

interface Waiter {
  readonly asker: Asker;
  settle(result: Turn | OutageView): void;
}

/** When no run has asked for this long, what was known of an outage is no longer of use, in milliseconds. */
const STALE_MS = 120_000;

export class OutageGate {
  #state: State = { at: "up" };
  readonly #waiters = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;

  get isUp(): boolean {
    return this.#state.at === "up";
  }

  /** Undefined while the upstream is not known to be out. */
  get standing(): OutageStanding | undefined {
    const view = this.#view();
    const isAsking = this.#state.at === "out" && this.#state.isAsking;
    return view && { ...view, isTaken: isAsking || this.#waiters.size > 0 };
  }

  /** The same for those who only watch; undefined also where what is known is too old to go by. */
  get sight(): OutageSight | undefined {
    const state = this.#state;
    if (state.at === "up" || this.#isStale(state)) return undefined;
    return { ...(this.#view() as OutageView), isAsking: state.isAsking, waiting: this.#waiters.size };
  }

  /**
   * At once while the upstream is not known to be out. Else resolves with leave to ask, or with how things stand when another
   * has asked in vain: who still wants to wait then enters again.
   * @throws the reason of the signal.
   */
  enter(asker: Asker): Promise<Turn | OutageView> | Turn {
    const state = this.#state;
    if (state.at === "up") return this.#turn(asker, false);
    if (this.#isStale(state)) {
      this.#state = { at: "up" };
      return this.#turn(asker, false);
    }
    // Its client would by itself have asked at once; those for whom the wait was have given up.
    if (asker.isNew && !state.rests && this.#waiters.size === 0 && !state.isAsking) {
      state.askAt = Math.min(state.askAt, state.failedAt + asker.pace.pauseMs(1));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        reject(asker.signal.reason);
      };
      const waiter: Waiter = {
        asker,
        settle: (result) => {
          this.#waiters.delete(waiter);
          asker.signal.removeEventListener("abort", leave);
          resolve(result);
        },
      };
      if (asker.signal.aborted) return leave();
      asker.signal.addEventListener("abort", leave, { once: true });
      this.#waiters.add(waiter);
      this.#arm();
    });
  }

  /** Of a request that went out before the outage was known. */
  report(failure: Failure, pace: OutagePace): OutageView {
    this.#close(failure, pace, false, performance.now());
    return this.#view() as OutageView;
  }

  /** It was found to be down, and is asked again from elsewhere; by who waits here only after so long. */
  close(failure: Failure, forMs: number): void {
    const now = performance.now();
    const state = this.#state;
    const { since, failures, isAsking } = state.at === "up" ? { since: now, failures: 1, isAsking: false } : state;
    this.#state = { at: "out", since, failure, failedAt: now, askAt: now + forMs, failures, isAsking, rests: false };
    this.#arm();
  }

  open(): void {
    if (this.#state.at === "out") this.#open();
  }

  /** It fails too often: whoever waits here asks it again one by one, when it has rested. */
  rest(failure: Failure, restMs: number): void {
    const now = performance.now();
    const state = this.#state;
    const since = state.at === "up" ? now : state.since;
    this.#state = { at: "out", since, failure, failedAt: now, askAt: now + restMs, failures: 1, isAsking: false, rests: true };
    // Another upstream may be asked in its place; who wants to wait enters again.
    const view = this.#view() as OutageView;
    for (const { settle } of [...this.#waiters]) settle(view);
    this.#arm();
  }

  #turn(asker: Asker, asksForAll: boolean): Turn {
    const beganAt = performance.now();
    let isOver = false;
    const once = (end: () => void): void => {
      if (!isOver) end();
      isOver = true;
    };
    return {
      asksForAll,
      // Of one that went out before the outage it is not known what its answer says of the time since.
      works: () => once(() => asksForAll && this.#open()),
      isOut: (failure) => {
        once(() => this.#close(failure, asker.pace, asksForAll, beganAt));
        return this.#view() ?? { failure, lastedMs: 0, waitMs: 0 };
      },
      giveBack: () => once(() => asksForAll && this.#askNext()),
    };
  }

  #isStale({ isAsking, failedAt }: State & { at: "out" }): boolean {
    return this.#waiters.size === 0 && !isAsking && performance.now() - failedAt > STALE_MS;
  }

  #view(): OutageView | undefined {
    const state = this.#state;
    if (state.at === "up") return undefined;
    const now = performance.now();
    const { failure, since, askAt, rests } = state;
    return { failure, lastedMs: now - since, waitMs: Math.max(0, askAt - now), rests };
  }

  #open(): void {
    this.#state = { at: "up" };
    clearTimeout(this.#timer);
    const inOrder = [...this.#waiters].sort((a, b) => a.asker.arrivedAt - b.asker.arrivedAt);
    for (const { asker, settle } of inOrder) settle(this.#turn(asker, false));
  }

  #close(failure: Failure, pace: OutagePace, askedForAll: boolean, beganAt: number): void {
    const now = performance.now();
    if (this.#state.at === "up") {
      this.#state = { at: "out", since: beganAt, failure, failedAt: now, askAt: 0, failures: 0, isAsking: false, rests: false };
    } else if (!askedForAll) {
      // It went out before the outage was known.
      return;
    }
    const state = this.#state;
    state.failure = failure;
    state.failedAt = now;
    state.failures++;
    state.isAsking = false;
    const pauseMs = Math.max(pace.pauseMs(state.failures), failure.retryAfterMs ?? 0);
    // Its clients are told at the limit: before that it is asked once more, whatever wait it names.
    const lastMs = state.since + pace.limitMs - now;
    state.askAt = now + (lastMs > 0 ? Math.min(pauseMs, lastMs) : pauseMs);
    const view = this.#view() as OutageView;
    for (const { settle } of [...this.#waiters]) settle(view);
  }

  #askNext(): void {
    if (this.#state.at === "out") this.#state.isAsking = false;
    this.#arm();
  }

  #arm(): void {
    const state = this.#state;
    clearTimeout(this.#timer);
    if (state.at === "up" || state.isAsking || this.#waiters.size === 0) return;
    this.#timer = setTimeout(
      () => {
        const [next] = [...this.#waiters].sort((a, b) => a.asker.asked - b.asker.asked || a.asker.arrivedAt - b.asker.arrivedAt);
        if (next === undefined) return;
        state.isAsking = true;
        next.settle(this.#turn(next.asker, true));
      },
      Math.max(0, state.askAt - performance.now()),
    );
  }
}
