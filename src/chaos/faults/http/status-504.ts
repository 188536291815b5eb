/** A 504, as a gateway answers that waited too long. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 504, "Gateway timeout: the model server took too long.");

export const status504: Fault = {
  name: "504",
  random: true,
  summary: "HTTP 504",
  stream: refuse,
  answer: refuse,
};
