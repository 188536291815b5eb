/** The whole answer with [DONE], but the body never ends: most clients wait for it for ever. */
import { answerBytes, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { hang, replyHead, send } from "../../script.ts";

export const holdOpen: Fault = {
  name: "hold-open",
  summary: "the whole answer with [DONE], then the body stays open",
  *stream(ask) {
    yield* wholeStream(ask);
    yield hang;
  },
  *answer(ask) {
    // With a content-length the client would know that it has everything.
    yield { ...replyHead(200, "application/json"), forcedFraming: "chunked" };
    yield send(answerBytes(ask), 0);
    yield hang;
  },
};
