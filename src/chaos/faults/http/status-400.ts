/** A 400: trying again does not help. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 400, "The request is invalid.");

export const status400: Fault = {
  name: "400",
  summary: "HTTP 400",
  stream: refuse,
  answer: refuse,
};
