/** A byte order mark before the first event, which the SSE standard tells parsers to skip. */
import { answerBytes, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { reply, send } from "../../script.ts";

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

export const bom: Fault = {
  name: "bom",
  summary: "the whole answer after a byte order mark",
  *stream(ask) {
    for (const step of wholeStream(ask)) {
      yield step;
      if (step.do === "head") yield send(BYTE_ORDER_MARK, 0);
    }
  },
  answer: (ask) => reply(200, "application/json", Buffer.concat([BYTE_ORDER_MARK, answerBytes(ask)])),
};
