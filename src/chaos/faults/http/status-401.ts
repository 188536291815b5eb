/** A 401: the key is wrong. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";

const refuse = (ask: Ask) => errorReply(ask, 401, "Incorrect API key provided: sk-chaos.", { code: "invalid_api_key" });

export const status401: Fault = {
  name: "401",
  summary: "HTTP 401",
  stream: refuse,
  answer: refuse,
};
