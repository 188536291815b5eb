/** A 502, as a gateway in front of a dead model server answers. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 502, "Bad gateway: the model server did not answer.");

export const status502: Fault = {
  name: "502",
  random: true,
  summary: "HTTP 502",
  stream: refuse,
  answer: refuse,
};
