/** A 408, which the OpenAI SDKs retry. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(408, "Request timeout.");

export const status408: Fault = {
  name: "408",
  summary: "HTTP 408",
  stream: refuse,
  answer: refuse,
};
