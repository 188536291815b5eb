/** Log lines of an observer that threw. */
import type { Logger } from "pino";
import { describeDefect } from "./describe-defect.ts";

/** It may throw at every attempt, and the same words each time would drown the rest of the log. */
const ONCE_IN_MS = 60_000;

/** @returns called with what was thrown; logs it at most once a minute. */
export function createDefectLog(logger: Logger): (thrown: unknown) => void {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return (thrown) => {
    const now = performance.now();
    if (now < quietUntil) return;
    quietUntil = now + ONCE_IN_MS;
    logger.error({ err: describeDefect(thrown) }, "an observer failed, and no exchange with it; this is a bug, please report it");
  };
}
