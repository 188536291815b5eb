/** A 200 with the body `null`, as Langchain-Chatchat 0.3 answers when a call failed. */
import type { Fault } from "../../fault.ts";
import { jsonReply } from "../../script.ts";

const answer = () => jsonReply(200, null);

export const nullBody: Fault = {
  name: "null",
  summary: "HTTP 200 with the body null",
  stream: answer,
  answer,
};
