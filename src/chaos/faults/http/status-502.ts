/** A 502, as a gateway in front of a dead model server answers. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(502, "Bad gateway: the model server did not answer.");

export const status502: Fault = {
  name: "502",
  random: true,
  summary: "HTTP 502",
  stream: refuse,
  answer: refuse,
};
