/** A 409, which the OpenAI SDKs retry. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 409, "The request conflicts with another one.");

export const status409: Fault = {
  name: "409",
  summary: "HTTP 409",
  stream: refuse,
  answer: refuse,
};
