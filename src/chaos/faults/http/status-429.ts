/** A rate limit with `retry-after` in seconds. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { seconds } from "../../fault-arg.ts";
import type { Step } from "../../script.ts";

export const status429: Fault = {
  name: "429",
  arg: seconds(1),
  random: true,
  summary: "HTTP 429 with retry-after of this many seconds",
  stream: (ask, value) => limited(ask, value),
  answer: (ask, value) => limited(ask, value),
};

function limited(ask: Ask, value: number): Iterable<Step> {
  const headers = { "retry-after": String(value) };
  return errorReply(ask, 429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
