/** A rate limit with the `retry-after-ms` that Azure sends and the OpenAI SDKs read first. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { milliseconds } from "../../fault-arg.ts";
import type { Step } from "../../script.ts";

export const status429Ms: Fault = {
  name: "429-ms",
  arg: milliseconds(100),
  summary: "HTTP 429 with retry-after-ms",
  stream: (ask, value) => limited(ask, value),
  answer: (ask, value) => limited(ask, value),
};

function limited(ask: Ask, value: number): Iterable<Step> {
  const headers = { "retry-after-ms": String(value) };
  return errorReply(ask, 429, "Rate limit reached for requests.", { type: "requests", code: "rate_limit_exceeded", headers });
}
