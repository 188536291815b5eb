/** Log lines of the store of answers: once when it is lost, once when it is back, and once a minute while it refuses. */
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
      if (isUp) logger.info("the store of the answers can be reached: clients can come back to any replica");
      else logger.warn({ reason }, "the store of the answers cannot be reached: they are kept by this process alone");
    },
    onRefusal(reason) {
      if (isDue("refusal"))
        logger.warn({ reason }, "the store of the answers refuses to keep one, which is kept by this process alone");
    },
  };
}
