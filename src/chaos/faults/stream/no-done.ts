/** A whole answer without [DONE]: Langchain-Chatchat never sends it. */
import { finishEvents, openedStream, wholeAnswer } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";

export const noDone: Fault = {
  name: "no-done",
  summary: "a whole answer with its finish, but no [DONE]",
  *stream(ask) {
    yield* openedStream(ask);
    yield* finishEvents(ask);
  },
  answer: wholeAnswer,
};
