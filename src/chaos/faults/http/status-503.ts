/** A 503: the model is overloaded. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(503, "That model is currently overloaded with other requests.", { code: "model_overloaded" });

export const status503: Fault = {
  name: "503",
  random: true,
  summary: "HTTP 503",
  stream: refuse,
  answer: refuse,
};
