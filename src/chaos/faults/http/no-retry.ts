/** A 500 that forbids the retry: `x-should-retry` outweighs the status for the OpenAI SDKs. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(500, "This will fail each time.", { headers: { "x-should-retry": "false" } });

export const noRetry: Fault = {
  name: "no-retry",
  summary: "HTTP 500 with x-should-retry: false",
  stream: refuse,
  answer: refuse,
};
