/**
 * The limits of one upstream, or of one client's key, and the line of those that wait for them. In order of priority and arrival; but
 * whoever waits for one limit keeps back those alone that need the same, so that a model at its limit does not stop the others.
 */
import { Failure } from "../../core/failure.ts";
import type { RateOwner } from "../../core/observer.ts";
import type { RateBudget, Taken } from "./budget.ts";
import { Holds, holdKey } from "./holds.ts";
import type { RateAsk, RateTurn, RateWait } from "./rate-ask.ts";
import { budgetsOf, type LimitKind, type NamedBudget, type RatePolicy, type RateSnapshot, viewBudget } from "./rate-policy.ts";
import { AnswerSizes } from "./token-estimate.ts";

interface Charge {
  readonly what: LimitKind;
  readonly budget: RateBudget;
  readonly amount: number;
}

interface Waiter {
  readonly ask: RateAsk;
  /** The same for those that are held back together. */
  readonly heldAs: string;
  charges: readonly Charge[];
  admit(turn: RateTurn): void;
}

/** A limit that is given up has no end to wait for. */
const UNLIMITED: RatePolicy = { waitMs: 0, models: {} };

export class RateLimiter {
  readonly owner: RateOwner;
  #policy: RatePolicy = UNLIMITED;
  #budgets: readonly NamedBudget[] = [];
  readonly #sizes = new AnswerSizes();
  readonly #holds = new Holds();
  /** In their order. */
  readonly #line: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(owner: RateOwner) {
    this.owner = owner;
  }

  get waitMs(): number {
    return this.#policy.waitMs;
  }

  /** What was counted goes on to count. Without a policy all that wait pass. */
  configure(policy: RatePolicy | undefined): void {
    this.#policy = policy ?? UNLIMITED;
    this.#budgets = budgetsOf(this.#policy, this.#budgets);
    if (policy === undefined) this.#holds.clear();
    for (const waiter of this.#line) waiter.charges = this.#chargesOf(waiter.ask);
    this.#admit();
  }

  countsTokens(model: string): boolean {
    return this.#of(model).some(({ what }) => what === "tokens");
  }

  /** How long it would wait, about, in milliseconds: infinity where that is for others to end. */
  expectedMs(ask: RateAsk): number {
    const before = this.#line.slice(0, this.#placeOf(ask)).flatMap(({ charges }) => charges);
    const waits = this.#chargesOf(ask).map(({ budget, amount }) => {
      const ahead = before.reduce((sum, other) => (other.budget === budget ? sum + other.amount : sum), 0);
      return budget.expectedMs(ahead + amount);
    });
    return Math.max(0, this.#holds.leftMs(ask), ...waits);
  }

  /** The upstream has said that it wants no more for so long, of this credential and model. */
  hold(ask: RateAsk, forMs: number): void {
    this.#holds.hold(ask, forMs);
  }

  /**
   * Leave to send it: at once, or when its turn has come.
   * @throws (the turn) Failure `rate_limited` when that is not in time; the reason of the signal.
   */
  enter(ask: RateAsk, signal: AbortSignal): RateTurn | RateWait {
    let turn: RateTurn | undefined;
    let admitted: ((turn: RateTurn) => void) | undefined;
    const waiter: Waiter = {
      ask,
      heldAs: holdKey(ask),
      charges: this.#chargesOf(ask),
      admit(given) {
        turn = given;
        admitted?.(given);
      },
    };
    this.#line.splice(this.#placeOf(ask), 0, waiter);
    this.#admit();
    if (turn !== undefined) return turn;
    const promised = new Promise<RateTurn>((resolve, reject) => {
      const leave = (reasonNow: () => unknown): void => {
        this.#leave(waiter);
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        reject(reasonNow());
      };
      const onAbort = (): void => leave(() => signal.reason);
      const { waitMs } = this.#policy;
      // To wait for what is known to come too late would only keep its client from going elsewhere.
      const isInVain = this.#holds.leftMs(ask) > waitMs;
      const timer = setTimeout(() => leave(() => this.#refusal(ask)), isInVain ? 0 : waitMs);
      admitted = (given) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        resolve(given);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
    return { turn: promised, ahead: () => this.#aheadOf(waiter) };
  }

  snapshot(): RateSnapshot {
    return {
      ...this.owner,
      waiting: this.#line.length,
      limits: this.#budgets.map(viewBudget),
      heldMs: this.#holds.longestMs,
    };
  }

  /** Whoever can pass now passes, in order. */
  #admit(): void {
    clearTimeout(this.#timer);
    const taken = new Set<RateBudget>();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const waiter of [...this.#line]) {
      const heldMs = this.#holds.leftMs(waiter.ask);
      if (heldMs > 0) {
        nextMs = Math.min(nextMs, heldMs);
        continue;
      }
      const { charges } = waiter;
      if (charges.some(({ budget }) => taken.has(budget))) continue;
      const short = charges.flatMap(({ budget, amount }) => {
        const waitMs = budget.waitMs(amount);
        return waitMs === 0 ? [] : [{ budget, waitMs }];
      });
      if (short.length === 0) {
        this.#line.splice(this.#line.indexOf(waiter), 1);
        waiter.admit(this.#turn(waiter.ask, charges));
        continue;
      }
      for (const { budget } of short) taken.add(budget);
      nextMs = Math.min(nextMs, Math.max(...short.map(({ waitMs }) => waitMs)));
    }
    if (Number.isFinite(nextMs)) this.#timer = setTimeout(() => this.#admit(), Math.ceil(nextMs));
  }

  #turn({ model, tokens: estimate }: RateAsk, charges: readonly Charge[]): RateTurn {
    const taken = charges.map(({ what, budget, amount }) => ({ what, taken: budget.take(amount) }));
    let isOver = false;
    const end = (correct: (what: LimitKind, taken: Taken) => void): void => {
      if (isOver) return;
      isOver = true;
      for (const each of taken) {
        correct(each.what, each.taken);
        each.taken.end();
      }
      this.#admit();
    };
    return {
      end: (tokens, isWhole = true) => {
        if (isWhole && tokens !== undefined && estimate !== undefined && !isOver) this.#sizes.learn(model, estimate, tokens);
        end((what, each) => {
          if (what === "tokens" && tokens !== undefined) each.correct(tokens);
        });
      },
      giveBack: () => end((_what, each) => each.correct(0)),
    };
  }

  #leave(waiter: Waiter): void {
    const index = this.#line.indexOf(waiter);
    if (index !== -1) this.#line.splice(index, 1);
    // It may have kept back others.
    this.#admit();
  }

  #refusal(ask: RateAsk): Failure {
    const { scope, name } = this.owner;
    const what = scope === "key" ? `the limit of the key "${name}"` : `the rate limit of upstream ${name}`;
    const heldS = Math.ceil(this.#holds.leftMs(ask) / 1_000);
    const message =
      heldS > 0
        ? `upstream ${name} has said that its own limit is used up for another ${heldS} s (rate, rate.wait)`
        : `${what} is used up, and no place came free within ${this.#policy.waitMs / 1_000} s (rate, rate.wait)`;
    const expected = this.expectedMs(ask);
    const retryAfterMs = Math.max(1_000, Number.isFinite(expected) ? expected : 1_000);
    return new Failure("rate_limited", message, { retryAfterMs });
  }

  #placeOf({ priority, arrivedAt }: RateAsk): number {
    const behind = this.#line.findIndex(({ ask }) => {
      return ask.priority > priority || (ask.priority === priority && ask.arrivedAt > arrivedAt);
    });
    return behind === -1 ? this.#line.length : behind;
  }

  /** Asked about once a second for each of maybe thousands: nothing is made here. */
  #aheadOf(waiter: Waiter): number {
    const own = waiter.charges;
    const isBefore = ({ heldAs, charges }: Waiter): boolean =>
      charges.some(({ budget }) => own.some((other) => other.budget === budget)) || heldAs === waiter.heldAs;
    let ahead = 0;
    for (const other of this.#line) {
      if (other === waiter) return ahead;
      if (isBefore(other)) ahead++;
    }
    return 0;
  }

  #of(model: string): readonly NamedBudget[] {
    return this.#budgets.filter((each) => each.model === undefined || each.model === model);
  }

  #chargesOf({ model, tokens }: RateAsk): readonly Charge[] {
    return this.#of(model).flatMap(({ what, budget }): Charge[] => {
      if (what !== "tokens") return [{ what, budget, amount: 1 }];
      return tokens === undefined ? [] : [{ what, budget, amount: this.#sizes.expected(model, tokens) }];
    });
  }
}
