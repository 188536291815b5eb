/** Line ends of CR alone, which the SSE standard allows. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { mapSends } from "../../script.ts";

export const cr: Fault = {
  name: "cr",
  summary: "the whole answer with CR line ends",
  stream: (ask) => mapSends(wholeStream(ask), (step) => [{ ...step, bytes: step.bytes.toString().replaceAll("\n", "\r") }]),
  answer: wholeAnswer,
};
