/** What an attempt goes through before it begins: the upstream's outage, and its rate limits, both of which must be open at once. */
import type { OutageView, Turn } from "../balance/outage-gate.ts";
import type { RateTurn, RateWait } from "../balance/rate/rate-ask.ts";
import type { AttemptPlan } from "./attempt-policy.ts";
import { passesAtOnce, type RateDoorOptions, waitForRate } from "./enter-rate.ts";
import type { Asked, OutageDoor } from "./outage-door.ts";

export interface DoorsOptions extends RateDoorOptions {
  readonly door: OutageDoor;
  readonly asked: Asked;
  /** The plan as it is now: it may change while it waits. */
  plan(): AttemptPlan;
  /** Told each time that another has asked in vain; throws when this one waits no longer. */
  onOut(outage: OutageView): void;
  /** It must wait for the limits of the one that was chosen, which was not known then: another may be free. */
  onLimited(): void;
}

export interface Entered {
  readonly turn: Turn | undefined;
  readonly rated: RateTurn | undefined;
}

/**
 * So long a place among the limits is kept while the upstream is out, in milliseconds: then others may have it, who ask for another
 * model maybe, and it would count at another time than that of its request.
 */
const KEPT_MS = 1_000;

/** @throws as the doors do; then it holds nothing. */
export async function enterDoors(options: DoorsOptions): Promise<Entered> {
  const { door, signal } = options;
  let { asked } = options;
  let rated: RateTurn | undefined;
  const giveBack = (): void => {
    rated?.giveBack();
    rated = undefined;
  };
  for (;;) {
    const { candidate } = options.plan();
    const timer = rated && setTimeout(giveBack, KEPT_MS);
    const turn = await door
      .enter(() => options.plan().candidate.shared.outages, asked, options.onOut)
      .catch((thrown: unknown) => {
        giveBack();
        throw thrown;
      })
      .finally(() => clearTimeout(timer));
    asked = { ...asked, isNew: false };
    if (options.plan().candidate !== candidate) giveBack();
    const { rate } = options.plan().candidate;
    if (rate === undefined || rated !== undefined) return { turn, rated };
    const entered = rate.enter(signal);
    if (!("turn" in entered)) return { turn, rated: entered };
    if (entered.isAtOnce !== undefined && (await passesAtOnce(entered))) return { turn, rated: await entered.turn };
    // Others may wait for what comes of this turn, and must not wait for a limit of ours.
    turn?.giveBack();
    if (entered.isAtOnce !== undefined && !signal.aborted && isElsewhere(options, entered)) continue;
    rated = await waitForRate(rate, entered, options);
  }
}

/** Chooses anew; and leaves the line where another was chosen. @throws as `onLimited` */
function isElsewhere({ plan, onLimited }: DoorsOptions, entered: RateWait): boolean {
  const { candidate } = plan();
  let isSame = false;
  try {
    onLimited();
    isSame = plan().candidate === candidate;
  } finally {
    if (!isSame) {
      entered.turn.catch(() => {});
      entered.leave();
    }
  }
  return !isSame;
}
