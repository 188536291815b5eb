/** A 404: the model does not exist. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(404, "The model does not exist or you do not have access to it.", { code: "model_not_found" });

export const status404: Fault = {
  name: "404",
  summary: "HTTP 404",
  stream: refuse,
  answer: refuse,
};
