/** Log lines of the warm-up. */
import type { Logger } from "pino";
import type { WarmUpOptions } from "../balance/warm-up.ts";

/** @param path of the question, as clients would spell it. */
export function createWarmUpLog(logger: Logger, upstream: string, path: string): Pick<WarmUpOptions, "onWarm" | "onFailure"> {
  let isRefusalTold = false;
  return {
    onWarm: (durationMs) => logger.info({ upstream, durationMs }, "the upstream is warm"),
    onFailure({ code, status, scope, reply }, delayMs) {
      const fields = { upstream, path, failure: code, status: reply?.status, delayMs };
      if (scope === "again") {
        logger.warn(fields, "the upstream is not warm yet");
        return;
      }
      if (isRefusalTold) {
        // The same words at each try would drown the rest of the log.
        logger.debug(fields, "the upstream refuses the first question again");
        return;
      }
      isRefusalTold = true;
      const change =
        status === 401 || status === 403
          ? "the upstream's apiKey, since this is no client's question"
          : "warmup.path or warmup.request";
      logger.warn(fields, `the upstream refuses the first question, and most likely always will: change ${change}`);
    },
  };
}
