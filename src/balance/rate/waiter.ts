/** One that is in the line before a limit, and what it is told of its wait. */
import type { RateAsk, RateTurn, RateWait } from "./rate-ask.ts";
import type { NamedBudget } from "./rate-policy.ts";

/** So much of one budget. */
export interface Charge extends NamedBudget {
  readonly amount: number;
}

export interface Waiter {
  readonly ask: RateAsk;
  /** The same for those that are held back together. */
  readonly heldAs: string;
  charges: readonly Charge[];
  /** `asked`: the store that is shared is to say whether it may pass. */
  state: "waiting" | "asked" | "over";
  /** It is known that it cannot pass at once. */
  isShort: boolean;
  admit(turn: RateTurn): void;
  /** Told once, when that is known. */
  onShort(): void;
}

export interface WaitOptions {
  /** In milliseconds. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Out of the line. */
  onLeave(): void;
  /** What it is told when its time is over. */
  refusal(): unknown;
  ahead(): number;
}

/** From now on the waiter speaks to a promise. */
export function beginWait(waiter: Waiter, options: WaitOptions): RateWait {
  const { signal, refusal } = options;
  const { promise: turn, resolve, reject } = Promise.withResolvers<RateTurn>();
  const first = Promise.withResolvers<boolean>();
  let isOverdue = false;
  const isOver = (): void => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    first.resolve(false);
  };
  const leave = (reasonNow: () => unknown): void => {
    options.onLeave();
    isOver();
    reject(reasonNow());
  };
  const onAbort = (): void => leave(() => signal.reason);
  const timer = setTimeout(() => {
    // Without a time to wait it still is to hear what the store says.
    if (waiter.isShort) leave(refusal);
    else isOverdue = true;
  }, options.waitMs);
  waiter.admit = (given) => {
    first.resolve(true);
    isOver();
    resolve(given);
  };
  waiter.onShort = () => {
    first.resolve(false);
    if (isOverdue) leave(refusal);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { turn, isAtOnce: waiter.isShort ? undefined : first.promise, leave: () => leave(refusal), ahead: options.ahead };
}
