/** A rate limit whose `retry-after` is an HTTP-date (RFC 9110 §10.2.3), which knows whole seconds only. */
import type { Fault } from "../../fault.ts";
import { seconds } from "../../fault-arg.ts";
import { errorReply, type Step } from "../../script.ts";

export const status429Date: Fault = {
  name: "429-date",
  arg: seconds(2),
  summary: "HTTP 429 with retry-after as a date, this many seconds ahead",
  stream: (_ask, value) => limited(value),
  answer: (_ask, value) => limited(value),
};

function limited(value: number): Iterable<Step> {
  const headers = { "retry-after": new Date(Date.now() + value * 1000).toUTCString() };
  return errorReply(429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
