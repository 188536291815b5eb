/** llama.cpp keeps what it generates under a name that it is given, and hands it out again from any place in it. */
import { randomUUID } from "node:crypto";
import { callUpstream } from "../call/call-upstream.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { DialectAttempt } from "./attempt-context.ts";
import { callOf } from "./upstream-request.ts";

/** The name is all that protects it, so that nobody may guess it. @returns headers for the request; none where nothing is kept. */
export function keepConversation(context: DialectAttempt): Readonly<Record<string, string>> {
  const { plan, output, session, exchange } = context;
  if (plan.candidate.policy.continuation !== "llamacpp" || output.given === undefined) return {};
  const id = randomUUID();
  const { upstream } = plan.candidate;
  session.keep({ id, discard: () => void discard(upstream, id, context, exchange.request.headers) });
  return { "x-conversation-id": id };
}

/** From the beginning: what the client has is known by its events, not by bytes. */
export function pathOfConversation(id: string): string {
  return `/stream?conv_id=${encodeURIComponent(id)}&from=0`;
}

const PATIENCE_MS = 5_000;

/** Fails in silence: an older server has no such thing, and one that is gone generates nothing. */
async function discard(upstream: Upstream, id: string, context: DialectAttempt, headers: Credentials): Promise<void> {
  const { authorization, "x-api-key": key, "api-key": otherKey } = headers;
  const call = callUpstream<void>(
    {
      ...callOf(context),
      upstream,
      attempt: { ...context.attempt },
      signal: new AbortController().signal,
      onDrain: undefined,
      request: {
        method: "DELETE",
        path: `/stream?conv_id=${encodeURIComponent(id)}`,
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

type Credentials = DialectAttempt["exchange"]["request"]["headers"];
