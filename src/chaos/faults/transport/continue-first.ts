/** An informational response before the real one: 103 Early Hints by default. undici refuses a 100 that it did not ask for. */
import { STATUS_CODES } from "node:http";
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { status } from "../../fault-arg.ts";
import { raw, type Step } from "../../script.ts";

export const continueFirst: Fault = {
  name: "continue-first",
  arg: status(103),
  summary: "an informational response of this status, then the whole answer",
  *stream(ask, code) {
    yield informational(code);
    yield* wholeStream(ask);
  },
  *answer(ask, code) {
    yield informational(code);
    yield* wholeAnswer(ask);
  },
};

function informational(code: number): Step {
  const hints = code === 103 ? "link: </v1/models>; rel=preload\r\n" : "";
  return raw(`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? "Informational"}\r\n${hints}\r\n`);
}
