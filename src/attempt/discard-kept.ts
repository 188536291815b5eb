/** Tells an upstream that nobody will come back for what it keeps, so that it stops making it. */
import { callUpstream } from "../call/call-upstream.ts";
import type { DialectAttempt } from "./attempt-context.ts";
import { callOf } from "./upstream-request.ts";

const PATIENCE_MS = 5_000;

/** Fails in silence: an older server has no such thing, and one that is gone makes nothing. */
export async function discardKept(context: DialectAttempt, method: "DELETE" | "POST", path: string): Promise<void> {
  const { authorization, "x-api-key": key, "api-key": otherKey } = context.exchange.request.headers;
  const call = callUpstream<void>(
    {
      ...callOf(context),
      // The attempt has been reported, and its client may have left.
      attempt: { ...context.attempt },
      signal: new AbortController().signal,
      onDrain: undefined,
      request: {
        method,
        path,
        headers: { authorization, "x-api-key": key, "api-key": otherKey },
        set: {},
        body: null,
        idempotent: true,
      },
      watchdog: { firstTokenMs: PATIENCE_MS, aliveMs: PATIENCE_MS, idleMs: PATIENCE_MS, idleFrom: "head", pausedMs: PATIENCE_MS },
      inflates: false,
      answersBelow: 300,
    },
    (_head, control) => ({ onData() {}, onEnd: () => control.succeed(undefined, true) }),
  );
  await call.catch(() => undefined);
}
