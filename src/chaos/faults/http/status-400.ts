/** A 400: trying again does not help. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(400, "The request is invalid.");

export const status400: Fault = {
  name: "400",
  summary: "HTTP 400",
  stream: refuse,
  answer: refuse,
};
