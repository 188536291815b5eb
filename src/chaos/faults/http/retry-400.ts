/** A 400 that asks for a retry: `x-should-retry` outweighs the status for the OpenAI SDKs. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(400, "Not now, but soon.", { headers: { "x-should-retry": "true" } });

export const retry400: Fault = {
  name: "retry-400",
  summary: "HTTP 400 with x-should-retry: true",
  stream: refuse,
  answer: refuse,
};
