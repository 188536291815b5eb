/** A content-length larger than the body, which ends with the connection. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { fin, type Step } from "../../script.ts";

export const wrongLength: Fault = {
  name: "wrong-length",
  summary: "the whole answer, but content-length promises more",
  *stream(ask) {
    // A script that ends with a cut promises more bytes than it sends.
    yield* withLength(wholeStream(ask));
    yield fin;
  },
  *answer(ask) {
    yield* withLength(wholeAnswer(ask));
    yield fin;
  },
};

function* withLength(script: Iterable<Step>): Iterable<Step> {
  for (const step of script) yield step.do === "head" ? { ...step, forcedFraming: "content-length" } : step;
}
