/** No fault: the whole answer. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";

export const ok: Fault = {
  name: "ok",
  summary: "the whole answer, no fault",
  stream: (ask) => wholeStream(ask),
  answer: wholeAnswer,
};
