/** One try against one upstream, as it is reported: numbered from 1, with its duration and how it failed. */
import type { FailureCode } from "./failure.ts";

export interface Attempt {
  readonly number: number;
  /** The upstream's configured name. */
  readonly upstream: string;
  /** Unix time in milliseconds, for logs and traces alone. */
  readonly startedAt: number;
  durationMs: number;
  /** Undefined while it runs, and when it succeeded. */
  failure: FailureCode | undefined;
  /** The upstream's HTTP status, once known. */
  status: number | undefined;
  /**
   * For the log, in words of ours. What was odd about a whole answer and did not undo it: a finish that is not known, an error behind
   * the end. Or what can be mended: a refused key, an empty account.
   */
  warning?: string | undefined;
  /** It began beside one that was slow (`hedge`). */
  readonly hedge?: true;
  /** Another one beside it was faster: it was ended for that, and has neither failed nor succeeded. */
  lost?: true;
}

/** Whose answer it is, or whose failure was the last. */
export function decisiveOf(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.findLast(({ lost }) => lost !== true);
}
