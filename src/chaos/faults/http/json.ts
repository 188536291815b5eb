/** A whole JSON answer although a stream was asked for. */
import { wholeAnswer } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";

export const json: Fault = {
  name: "json",
  summary: "a whole JSON answer to a stream request",
  stream: wholeAnswer,
  answer: wholeAnswer,
};
