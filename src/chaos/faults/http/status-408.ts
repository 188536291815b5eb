/** A 408, which the OpenAI SDKs retry. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 408, "Request timeout.");

export const status408: Fault = {
  name: "408",
  summary: "HTTP 408",
  stream: refuse,
  answer: refuse,
};
