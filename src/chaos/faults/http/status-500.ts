/** A plain 500. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(500, "The server had an error while processing your request. Sorry about that!");

export const status500: Fault = {
  name: "500",
  random: true,
  summary: "HTTP 500",
  stream: refuse,
  answer: refuse,
};
