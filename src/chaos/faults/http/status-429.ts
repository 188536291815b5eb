/** A rate limit with `retry-after` in seconds. */
import type { Fault } from "../../fault.ts";
import { seconds } from "../../fault-arg.ts";
import { errorReply, type Step } from "../../script.ts";

export const status429: Fault = {
  name: "429",
  arg: seconds(1),
  random: true,
  summary: "HTTP 429 with retry-after of this many seconds",
  stream: (_ask, value) => limited(value),
  answer: (_ask, value) => limited(value),
};

function limited(value: number): Iterable<Step> {
  const headers = { "retry-after": String(value) };
  return errorReply(429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
