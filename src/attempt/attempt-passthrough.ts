/** One attempt at a request that no dialect claims: bytes in, bytes out, and never a clean end for a broken body. */
import { callUpstream } from "../call/call-upstream.ts";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { AttemptContext } from "./attempt-context.ts";
import { isIdempotent } from "./idempotent.ts";
import { callOf, pathOf } from "./upstream-request.ts";

export async function attemptPassthrough(context: AttemptContext): Promise<AttemptResult> {
  const { exchange, plan, output } = context;
  const { method, headers, body } = exchange.request;
  const { idle, total, unstreamed } = plan.candidate.policy.timeouts;
  const length = headers["content-length"];
  await callUpstream<void>(
    {
      ...callOf(context),
      request: {
        method,
        path: pathOf(context),
        headers,
        body,
        idempotent: isIdempotent(exchange),
        // Without it a body of known length would be sent in chunks, which some upstreams refuse.
        set: body !== null && typeof length === "string" ? { "content-length": length } : {},
      },
      // What comes when is not known of such a body: the first of it may take as long as an answer that is not streamed.
      watchdog: { firstTokenMs: unstreamed, aliveMs: 0, idleMs: idle, pausedMs: total, idleFrom: "content" },
      // A redirect, or a 304, is the client's to follow.
      answersBelow: 400,
      // Its client has said itself what it can read.
      inflates: false,
    },
    (reply, control) => {
      output.openBody(reply.status, reply.headers);
      return {
        onData(chunk) {
          control.notice("content");
          if (!output.write(chunk)) control.pause();
        },
        onEnd(cause) {
          if (cause === undefined) control.succeed(undefined, true);
          else control.fail(cause);
        },
      };
    },
  );
  return { kind: "piped" };
}
