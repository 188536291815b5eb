/** A 200 whose body is an error. Langchain-Chatchat 0.2 answers so when the knowledge base is unknown. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const answer = (ask: Ask) => errorReply(ask, 200, "The model is not loaded.", { type: "server_error", code: "model_not_loaded" });

export const jsonError: Fault = {
  name: "json-error",
  random: true,
  summary: "HTTP 200 with a JSON error body",
  stream: answer,
  answer,
};
