/** A 422, which FastAPI servers send for a wrong parameter. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(422, "The request was well-formed, but its parameters are not acceptable.");

export const status422: Fault = {
  name: "422",
  summary: "HTTP 422",
  stream: refuse,
  answer: refuse,
};
