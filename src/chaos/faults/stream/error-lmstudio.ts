/** LM Studio's error: the message twice, inside and beside `error`. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, jsonReply } from "../../script.ts";

const ERROR = { error: { message: "The model has crashed." }, message: "The model has crashed." };

export const errorLmstudio: Fault = {
  name: "error-lmstudio",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: "LM Studio's error event after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
  },
  answer: () => jsonReply(500, ERROR),
};
