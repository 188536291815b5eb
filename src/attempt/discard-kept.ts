/** Tells an upstream that nobody will come back for what it keeps, so that it stops making it. */
import { type CallOptions, callUpstream } from "../call/call-upstream.ts";
import type { Headers } from "../core/exchange.ts";
import type { DialectAttempt } from "./attempt-context.ts";

/** Who is told, and with whose credentials. */
export interface Discarding extends Pick<CallOptions, "upstream" | "attempt" | "propagated" | "maxReplyBytes"> {
  /** The client's. */
  readonly headers: Headers;
}

const PATIENCE_MS = 5_000;

export function discardingIn({ plan, attempt, propagated, limits, exchange }: DialectAttempt): Discarding {
  const { upstream } = plan.candidate;
  return { upstream, attempt, propagated, maxReplyBytes: limits.maxBodyBytes, headers: exchange.request.headers };
}

/** Fails in silence: an older server has no such thing, and one that is gone makes nothing. */
export async function discardKept(
  { headers: { authorization, "x-api-key": key, "api-key": otherKey }, attempt, ...of }: Discarding,
  method: "DELETE" | "POST",
  path: string,
): Promise<void> {
  const call = callUpstream<void>(
    {
      ...of,
      // The attempt has been reported, and its client may have left.
      attempt: { ...attempt },
      signal: new AbortController().signal,
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
