/** Log lines of the store that replicas share: once when it is lost, once when it is back, and once a minute while it refuses. */
import type { Logger } from "pino";
import { createRateLimit } from "./rate-limit.ts";

export interface StoreLog {
  /** @param reason in the server's words: it may hold its address, but no password. */
  onChange(isUp: boolean, reason: string): void;
  onRefusal(reason: string): void;
}

/** In milliseconds. */
const REFUSAL_MS = 60_000;

export function createStoreLog(logger: Logger): StoreLog {
  const isDue = createRateLimit(REFUSAL_MS);
  return {
    onChange(isUp, reason) {
      if (isUp) logger.info("the store can be reached: answers and rate limits are shared by every replica");
      else
        logger.warn({ reason }, "the store cannot be reached: answers are kept, and rate limits counted, by this process alone");
    },
    onRefusal(reason) {
      if (isDue("refusal"))
        logger.warn({ reason }, "the store refuses to keep what is new, which is kept, and counted, by this process alone");
    },
  };
}
