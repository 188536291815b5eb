/** A clean end of the body in the middle of the answer: only the missing finish_reason tells. FastChat does so when its worker vanished. */
import { brokenAnswer, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";

export const eof: Fault = {
  name: "eof",
  arg: events(),
  random: true,
  summary: "a clean end after this many events, no finish, no [DONE]",
  stream: openedStream,
  answer: brokenAnswer,
};
