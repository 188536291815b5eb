/** A 422, which FastAPI servers send for a wrong parameter. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 422, "The request was well-formed, but its parameters are not acceptable.");

export const status422: Fault = {
  name: "422",
  summary: "HTTP 422",
  stream: refuse,
  answer: refuse,
};
