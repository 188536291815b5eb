/** A 500 that forbids the retry: `x-should-retry` outweighs the status for the OpenAI SDKs. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 500, "This will fail each time.", { headers: { "x-should-retry": "false" } });

export const noRetry: Fault = {
  name: "no-retry",
  summary: "HTTP 500 with x-should-retry: false",
  stream: refuse,
  answer: refuse,
};
