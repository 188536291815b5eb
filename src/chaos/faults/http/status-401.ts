/** A 401: the key is wrong. */
import type { Fault } from "../../fault.ts";
import { errorReply } from "../../script.ts";

const refuse = () => errorReply(401, "Incorrect API key provided: sk-chaos.", { code: "invalid_api_key" });

export const status401: Fault = {
  name: "401",
  summary: "HTTP 401",
  stream: refuse,
  answer: refuse,
};
