/** The wait for a rate limit, an upstream's or that of a client's key: it is ours, so no attempt is counted and nobody is blamed. */
import type { RateAccess } from "../balance/rate/rate-access.ts";
import type { RateTurn, RateWait } from "../balance/rate/rate-ask.ts";
import type { Exchange } from "../core/exchange.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { Used } from "./usage-meter.ts";

export interface RateDoorOptions {
  readonly exchange: Exchange;
  readonly observer: Observer;
  readonly signal: AbortSignal;
  /** Told when it begins to wait, and each second from then on, how many are to pass before it. */
  onAhead(ahead: number): void;
}

/** Does it once the limits of the client's key have room for it; what the last attempt took is what its client has used. */
export async function withinLimits<T>(
  key: RateAccess | undefined,
  options: RateDoorOptions,
  act: (onUsed: (used: Used) => void) => Promise<T>,
): Promise<T> {
  if (key === undefined) return act(() => {});
  const turn = await enterRate(key, options);
  let used: Used | undefined;
  const onUsed = (told: Used): void => {
    used = told;
  };
  try {
    const result = await act(onUsed);
    turn.end(tokensOf(key, used, undefined));
    return result;
  } catch (thrown) {
    turn.end(tokensOf(key, used, toFailure(thrown)) ?? 0, false);
    throw thrown;
  }
}

/** What a request took, for whoever counts tokens; undefined where that is not known, and 0 where the upstream did no work for it. */
export function tokensOf(access: RateAccess, used: Used | undefined, failure: Failure | undefined): number | undefined {
  if (failure?.code === "upstream_status" || failure?.outage !== undefined) return 0;
  if (used?.tokens !== undefined) return used.tokens;
  return used?.characters === undefined ? undefined : access.tokensOf(used.characters);
}

const TELL_MS = 1_000;

/** @throws as {@link waitForRate} */
async function enterRate(access: RateAccess, options: RateDoorOptions): Promise<RateTurn> {
  const entered = access.enter(options.signal);
  if (!("turn" in entered)) return entered;
  return (await passesAtOnce(entered)) ? entered.turn : waitForRate(access, entered, options);
}

/** What a store takes to answer is no wait that anybody is told of. */
export async function passesAtOnce({ turn, isAtOnce }: RateWait): Promise<boolean> {
  if (isAtOnce === undefined) return false;
  // It may be refused before anybody waits for it.
  turn.catch(() => {});
  return isAtOnce;
}

/** @throws Failure `rate_limited` when it has not passed within `rate.wait`; the reason of the signal. */
export async function waitForRate({ owner }: RateAccess, entered: RateWait, options: RateDoorOptions): Promise<RateTurn> {
  const { exchange, observer } = options;
  const beganAt = performance.now();
  observer.onRateWaitStart?.(exchange, owner);
  options.onAhead(entered.ahead());
  const telling = setInterval(() => options.onAhead(entered.ahead()), TELL_MS);
  try {
    return await entered.turn;
  } catch (thrown) {
    if (toFailure(thrown).code === "rate_limited") observer.onRateRefused?.(exchange, owner);
    throw thrown;
  } finally {
    clearInterval(telling);
    const waitedMs = performance.now() - beganAt;
    exchange.stats.limitedMs = (exchange.stats.limitedMs ?? 0) + waitedMs;
    observer.onRateWaitEnd?.(exchange, owner, waitedMs);
  }
}
