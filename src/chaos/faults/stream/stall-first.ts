/** Headers, then nothing: the first token never comes. */
import type { Fault } from "../../fault.ts";
import { hang, replyHead, streamHead } from "../../script.ts";

export const stallFirst: Fault = {
  name: "stall-first",
  summary: "headers, then nothing",
  stream: () => [streamHead(), hang],
  answer: () => [replyHead(200, "application/json"), hang],
};
