/** A 400 that asks for a retry: `x-should-retry` outweighs the status for the OpenAI SDKs. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 400, "Not now, but soon.", { headers: { "x-should-retry": "true" } });

export const retry400: Fault = {
  name: "retry-400",
  summary: "HTTP 400 with x-should-retry: true",
  stream: refuse,
  answer: refuse,
};
