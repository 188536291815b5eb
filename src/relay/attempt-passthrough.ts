/** One attempt at a request that no dialect claims: bytes in, bytes out, and never a clean end for a broken body. */
import { callUpstream } from "../attempt/call-upstream.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { ClientResponse } from "../downstream/client-response.ts";
import type { RelayOptions } from "./relay-options.ts";

export interface PassthroughAttempt {
  readonly exchange: Exchange;
  readonly response: ClientResponse;
  readonly attempt: Attempt;
  readonly options: RelayOptions;
  /** Nobody minds if the upstream gets it twice. */
  readonly repeatable: boolean;
}

/** @returns false: nothing is ever repaired here. */
export async function attemptPassthrough(context: PassthroughAttempt): Promise<boolean> {
  const { exchange, response, attempt, options, repeatable } = context;
  const { path, method, headers, body } = exchange.request;
  const length = headers["content-length"];
  let stopListening = (): void => {};
  try {
    await callUpstream<void>(
      {
        upstream: options.upstream,
        attempt,
        signal: exchange.signal,
        request: {
          method,
          path,
          headers,
          body,
          repeatable,
          // Without it a body of known length would be sent in chunks, which some upstreams refuse.
          set: body !== null && typeof length === "string" ? { "content-length": length } : {},
        },
        watchdog: { firstTokenMs: 0, idleMs: options.timeouts.idle },
        // A redirect, or a 304, is the client's to follow.
        answersBelow: 400,
        maxReplyBytes: options.limits.maxBodyBytes,
      },
      (reply, control) => {
        const onDrain = (): void => control.resume();
        response.onDrain(onDrain);
        stopListening = () => response.offDrain(onDrain);
        response.begin(reply.status, reply.headers);
        control.progress();
        return {
          onData(chunk) {
            control.progress();
            if (!response.writeBytes(chunk)) control.pause();
          },
          onEnd(cause) {
            if (cause === undefined) control.succeed(undefined, true);
            else control.fail(cause);
          },
        };
      },
    );
    response.end("");
    return false;
  } finally {
    stopListening();
  }
}
