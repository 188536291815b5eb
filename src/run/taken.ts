/**
 * Whether a run's clients may be given a sign of life. While there were only outages they are given nothing, so that each may still get
 * an HTTP status, and try again by itself.
 */
import type { Failure } from "../core/failure.ts";

type State =
  /** Nothing was asked yet, or there were only outages. */
  | "no"
  /** A limit of ours makes it wait. */
  | "queued"
  /** An upstream was asked of which nothing bad is known. */
  | "presumed"
  | "yes";

export class Taken {
  #state: State = "no";
  /** Some upstream was found to be out. */
  #wasOut = false;

  /** An upstream works on it, as far as is known, or it waits for a limit of ours. */
  get isTaken(): boolean {
    return this.#state !== "no";
  }

  queues(): void {
    if (this.#state === "no" && !this.#wasOut) this.#state = "queued";
  }

  /** @param isHopeful nothing is known that speaks against the upstream that is asked. */
  begins(isHopeful: boolean): void {
    if (isHopeful && this.#state !== "yes") this.#state = "presumed";
  }

  works(): void {
    this.#state = "yes";
  }

  /** @param isBeside it ran beside another, which may still work. */
  failed({ outage }: Failure, isBeside: boolean): void {
    if (outage === undefined) this.#state = "yes";
    else {
      this.#wasOut = true;
      if (this.#state !== "yes" && !isBeside) this.#state = "no";
    }
  }
}
