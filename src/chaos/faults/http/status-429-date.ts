/** A rate limit whose `retry-after` is an HTTP-date (RFC 9110 §10.2.3), which knows whole seconds only. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { seconds } from "../../fault-arg.ts";
import type { Step } from "../../script.ts";

export const status429Date: Fault = {
  name: "429-date",
  arg: seconds(2),
  summary: "HTTP 429 with retry-after as a date, this many seconds ahead",
  stream: (ask, value) => limited(ask, value),
  answer: (ask, value) => limited(ask, value),
};

function limited(ask: Ask, value: number): Iterable<Step> {
  const headers = { "retry-after": new Date(Date.now() + value * 1000).toUTCString() };
  return errorReply(ask, 429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
