/** Why an answer of another replica cannot be read to its end. */
import { Failure } from "../core/failure.ts";

export function partLost(): Failure {
  return new Failure("stream_truncated", "the store of the answers could not take all of this one");
}

export function unreachable(): Failure {
  return new Failure("overloaded", "The store of the answers cannot be reached. Send the request again in a moment.", {
    retryAfterMs: 1_000,
  });
}
