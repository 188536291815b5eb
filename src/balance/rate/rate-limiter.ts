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
import type { SharedRates } from "./shared-rates.ts";
import { SharedWaits } from "./shared-waits.ts";
import { AnswerSizes } from "./token-estimate.ts";
import { beginWait, type Charge, type Waiter } from "./waiter.ts";

/** A limit that is given up has no end to wait for. */
const UNLIMITED: RatePolicy = { waitMs: 0, models: {} };

export class RateLimiter {
  readonly owner: RateOwner;
  #policy: RatePolicy = UNLIMITED;
  #budgets: readonly NamedBudget[] = [];
  readonly #sizes = new AnswerSizes();
  readonly #holds = new Holds();
  readonly #shared: SharedRates | undefined;
  /** What the store has said of the budgets. */
  readonly #waits = new SharedWaits();
  /** In their order. */
  readonly #line: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param shared where it is counted for several processes. */
  constructor(owner: RateOwner, shared?: SharedRates) {
    this.owner = owner;
    this.#shared = shared;
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
      return Math.max(budget.expectedMs(ahead + amount), this.#waits.expectedMs(budget));
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
    const waiter: Waiter = {
      ...{ ask, heldAs: holdKey(ask), charges: this.#chargesOf(ask), state: "waiting", isShort: false },
      admit: (given) => {
        turn = given;
      },
      onShort() {},
    };
    this.#line.splice(this.#placeOf(ask), 0, waiter);
    this.#admit();
    if (turn !== undefined) return turn;
    const { waitMs } = this.#policy;
    // To wait for what is known to come too late would only keep its client from going elsewhere.
    const isInVain = this.#holds.leftMs(ask) > waitMs;
    return beginWait(waiter, {
      ...{ signal, waitMs: isInVain ? 0 : waitMs },
      onLeave: () => this.#leave(waiter),
      refusal: () => this.#refusal(ask),
      ahead: () => this.#aheadOf(waiter),
    });
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
    // What the store is asked about: whoever needs it as well is next, and does not know yet whether it must wait.
    const asked = new Set<RateBudget>();
    const short: Waiter[] = [];
    const mustWait = (waiter: Waiter): void => {
      if (!waiter.isShort) short.push(waiter);
    };
    let nextMs = Number.POSITIVE_INFINITY;
    for (const waiter of [...this.#line]) {
      const { charges } = waiter;
      const heldMs = this.#holds.leftMs(waiter.ask);
      if (waiter.state === "asked") {
        for (const { budget } of charges) asked.add(budget);
      } else if (heldMs > 0) {
        nextMs = Math.min(nextMs, heldMs);
        mustWait(waiter);
      } else if (needsAny(charges, taken)) mustWait(waiter);
      else if (!needsAny(charges, asked)) {
        const waits = this.#waitsOf(charges);
        for (const { budget } of waits) taken.add(budget);
        if (waits.length > 0) {
          nextMs = Math.min(nextMs, Math.max(...waits.map(({ waitMs }) => waitMs)));
          mustWait(waiter);
        } else if (charges.length > 0 && this.#shared?.isUp) {
          for (const { budget } of charges) asked.add(budget);
          void this.#askStore(waiter, this.#shared);
        } else this.#pass(waiter, charges, []);
      }
    }
    if (Number.isFinite(nextMs)) this.#timer = setTimeout(() => this.#admit(), Math.ceil(nextMs));
    for (const waiter of short) {
      waiter.isShort = true;
      waiter.onShort();
    }
  }

  /** What it cannot have now, and for how long, in milliseconds. */
  #waitsOf(charges: readonly Charge[]): { budget: RateBudget; waitMs: number }[] {
    return charges
      .map(({ budget, amount }) => ({ budget, waitMs: Math.max(budget.waitMs(amount), this.#waits.againMs(budget)) }))
      .filter(({ waitMs }) => waitMs > 0);
  }

  async #askStore(waiter: Waiter, store: SharedRates): Promise<void> {
    waiter.state = "asked";
    const { charges } = waiter;
    const answer = await store.take(charges.map((charge) => ({ ...this.owner, ...viewBudget(charge), amount: charge.amount })));
    const taken = answer !== undefined && "taken" in answer ? answer.taken : [];
    if (waiter.state !== "asked") {
      // It has left meanwhile.
      for (const each of taken) giveBack(each);
    } else if (answer !== undefined && "waitsMs" in answer) {
      waiter.state = "waiting";
      charges.forEach(({ budget }, index) => {
        this.#waits.learn(budget, answer.waitsMs[index] ?? 0);
      });
    } else this.#pass(waiter, charges, taken);
    this.#admit();
  }

  /** @param shared what the store has taken for it; none where it counts by itself. */
  #pass(waiter: Waiter, charges: readonly Charge[], shared: readonly Taken[]): void {
    waiter.state = "over";
    this.#line.splice(this.#line.indexOf(waiter), 1);
    waiter.admit(this.#turn(waiter.ask, charges, shared));
  }

  #turn({ model, tokens: estimate }: RateAsk, charges: readonly Charge[], shared: readonly Taken[]): RateTurn {
    // Here as well: should the store be lost, what was sent before goes on to count.
    const taken = charges.map(({ what, budget, amount }, index) => {
      const there = shared[index];
      return { what, budget, each: there === undefined ? [budget.take(amount)] : [budget.take(amount), there] };
    });
    let isOver = false;
    const end = (correct: (what: LimitKind, taken: Taken) => void): void => {
      if (isOver) return;
      isOver = true;
      for (const { what, budget, each } of taken) {
        this.#waits.forget(budget);
        for (const one of each) {
          correct(what, one);
          one.end();
        }
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
    waiter.state = "over";
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
    return this.#of(model).flatMap((each): Charge[] => {
      if (each.what !== "tokens") return [{ ...each, amount: 1 }];
      return tokens === undefined ? [] : [{ ...each, amount: this.#sizes.expected(model, tokens) }];
    });
  }
}

function needsAny(charges: readonly Charge[], budgets: ReadonlySet<RateBudget>): boolean {
  return budgets.size > 0 && charges.some(({ budget }) => budgets.has(budget));
}

function giveBack(taken: Taken): void {
  taken.correct(0);
  taken.end();
}
