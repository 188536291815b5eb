/** A 404: the model does not exist. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) =>
  errorReply(ask, 404, "The model does not exist or you do not have access to it.", { code: "model_not_found" });

export const status404: Fault = {
  name: "404",
  summary: "HTTP 404",
  stream: refuse,
  answer: refuse,
};
