/** A plain 500. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 500, "The server had an error while processing your request. Sorry about that!");

export const status500: Fault = {
  name: "500",
  random: true,
  summary: "HTTP 500",
  stream: refuse,
  answer: refuse,
};
