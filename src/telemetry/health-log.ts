/** A log line when an upstream is found to be down, and when it is back. */
import type { Logger } from "pino";
import type { Failure } from "../core/failure.ts";

export function createHealthLog(logger: Logger, upstream: string): (failure: Failure | undefined) => void {
  return (failure) => {
    if (failure === undefined) logger.info({ upstream }, "the upstream answers again");
    else logger.warn({ upstream, failure: failure.code }, `the upstream does not answer its health checks: ${failure.message}`);
  };
}
