/** A TCP reset in the middle of the answer. Not streamed: after half of the JSON. */
import { halfAnswer, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { reset } from "../../script.ts";

export const resetInStream: Fault = {
  name: "reset",
  arg: events(),
  random: true,
  summary: "TCP reset after this many events",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield reset;
  },
  answer: (ask) => halfAnswer(ask, reset),
};
