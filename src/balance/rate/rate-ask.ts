/** What passes a rate limit, and what it is given. */
import type { HeldBy } from "./holds.ts";
import type { TokenEstimate } from "./token-estimate.ts";

/** A request that is to pass: for a model as the owner of the limits calls it. */
export interface RateAsk extends HeldBy {
  /** Undefined where no tokens are counted. */
  readonly tokens: TokenEstimate | undefined;
  /** Those of a lower number pass first. */
  readonly priority: number;
  /** On the clock of `performance.now()`. */
  readonly arrivedAt: number;
}

/** Leave to send a request. */
export interface RateTurn {
  /**
   * The request is over.
   * @param tokens what it took; undefined where that is not known.
   * @param isWhole its answer says something of the next ones. @defaultValue true
   */
  end(tokens?: number, isWhole?: boolean): void;
  /** It was not sent. */
  giveBack(): void;
}

/** A place in the line. */
export interface RateWait {
  readonly turn: Promise<RateTurn>;
  /** Only where a store must be asked, which takes no time to speak of: whether it passes without a wait. Never rejects. */
  readonly isAtOnce?: Promise<boolean> | undefined;
  /** Gives the place up; the turn rejects. */
  leave(): void;
  /** How many are to pass before it. */
  ahead(): number;
}
