/** A 409, which the OpenAI SDKs retry. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(409, "The request conflicts with another one.");

export const status409: Fault = {
  name: "409",
  summary: "HTTP 409",
  stream: refuse,
  answer: refuse,
};
