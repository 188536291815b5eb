/** The head of a 503 and half of its body, then nothing: the server that wanted to refuse was busy with that as well. */
import { errorReply } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { bodyOf, hang, limitBody } from "../../script.ts";

const refuse = (ask: Ask) => {
  const reply = [...errorReply(ask, 503, "That model is currently overloaded with other requests.")];
  return limitBody(reply, Math.floor(bodyOf(reply).length / 2), hang);
};

export const stallError: Fault = {
  name: "stall-error",
  summary: "HTTP 503, but half of its body, and the socket stays open",
  stream: refuse,
  answer: refuse,
};
