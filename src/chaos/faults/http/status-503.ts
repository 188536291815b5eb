/** A 503: the model is overloaded. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) =>
  errorReply(ask, 503, "That model is currently overloaded with other requests.", { code: "model_overloaded" });

export const status503: Fault = {
  name: "503",
  random: true,
  summary: "HTTP 503",
  stream: refuse,
  answer: refuse,
};
