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
  /** What was odd about a whole answer, in words of ours, and did not undo it: a finish that is not known, an error behind the end. */
  warning?: string | undefined;
}
