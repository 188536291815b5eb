/** A 200 whose body is an error. Langchain-Chatchat 0.2 answers so when the knowledge base is unknown. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const answer = () => errorReply(200, "The model is not loaded.", { type: "server_error", code: "model_not_loaded" });

export const jsonError: Fault = {
  name: "json-error",
  random: true,
  summary: "HTTP 200 with a JSON error body",
  stream: answer,
  answer,
};
