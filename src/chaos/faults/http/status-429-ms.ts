/** A rate limit with the `retry-after-ms` that Azure sends and the OpenAI SDKs read first. */
import type { Fault } from "../../fault.ts";
import { milliseconds } from "../../fault-arg.ts";
import { errorReply, type Step } from "../../script.ts";

export const status429Ms: Fault = {
  name: "429-ms",
  arg: milliseconds(100),
  summary: "HTTP 429 with retry-after-ms",
  stream: (_ask, value) => limited(value),
  answer: (_ask, value) => limited(value),
};

function limited(value: number): Iterable<Step> {
  const headers = { "retry-after-ms": String(value) };
  return errorReply(429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
