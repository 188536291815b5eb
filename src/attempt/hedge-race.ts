/** Two attempts at once: the first to bring content goes on, and the other is ended at once. */
import type { Attempt } from "../core/attempt.ts";
import { Failure } from "../core/failure.ts";

/** What an attempt ends with that was slower: no failure, of which nothing is learned and nobody told. */
export class Lost extends Error {}

export interface Racer {
  readonly attempt: Attempt;
  /** Aborted when the run is, and when another was faster. */
  readonly signal: AbortSignal;
  /** It has brought content. @returns false when another has before it. */
  claim(): boolean;
}

export class HedgeRace {
  /** Aborted when the run is, and once an attempt has brought content: no other may begin then. */
  readonly signal: AbortSignal;
  readonly #run: AbortSignal;
  readonly #decided = new AbortController();
  readonly #racers: { readonly racer: Racer; readonly slower: AbortController }[] = [];
  #leader: Attempt | undefined;

  constructor(run: AbortSignal) {
    this.#run = run;
    this.signal = AbortSignal.any([run, this.#decided.signal]);
  }

  enter(attempt: Attempt): Racer {
    const slower = new AbortController();
    const racer: Racer = {
      attempt,
      signal: AbortSignal.any([this.#run, slower.signal]),
      claim: () => this.#claim(attempt),
    };
    this.#racers.push({ racer, slower });
    return racer;
  }

  /** @returns whether nobody has brought content after so long, while `first` runs still. */
  isSlow(first: Promise<unknown>, afterMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(!this.isOver), afterMs);
      const settle = (): void => {
        clearTimeout(timer);
        resolve(false);
      };
      this.signal.addEventListener("abort", settle, { once: true });
      if (this.isOver) settle();
      first.then(settle, settle);
    });
  }

  get isOver(): boolean {
    return this.signal.aborted;
  }

  #claim(attempt: Attempt): boolean {
    if (this.#leader !== undefined) return this.#leader === attempt;
    this.#leader = attempt;
    this.#decided.abort();
    for (const { racer, slower } of this.#racers) {
      if (racer.attempt === attempt || racer.attempt.failure !== undefined) continue;
      racer.attempt.lost = true;
      // Whatever it has read by now is not looked at, as for a client that left.
      slower.abort(new Failure("client_gone", "another attempt was faster"));
    }
    return true;
  }
}

/**
 * What the first of them brings that succeeds.
 * @throws what the last of them has failed with that was not merely slower.
 */
export async function firstOf<T>(attempts: readonly Promise<T>[]): Promise<T> {
  let failure: { readonly thrown: unknown } | undefined;
  const watched = attempts.map((attempt) =>
    attempt.catch((thrown: unknown) => {
      if (!(thrown instanceof Lost)) failure = { thrown };
      throw thrown;
    }),
  );
  try {
    return await Promise.any(watched);
  } catch (error) {
    throw failure === undefined ? error : failure.thrown;
  } finally {
    // The slower one is over before the run is.
    await Promise.allSettled(watched);
  }
}
