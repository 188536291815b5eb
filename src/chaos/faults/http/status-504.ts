/** A 504, as a gateway answers that waited too long. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(504, "Gateway timeout: the model server took too long.");

export const status504: Fault = {
  name: "504",
  random: true,
  summary: "HTTP 504",
  stream: refuse,
  answer: refuse,
};
