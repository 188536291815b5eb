/** A stream that goes silent in the middle, the connection alive. Not streamed: after half of the JSON. */
import { halfAnswer, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { hang } from "../../script.ts";

export const stall: Fault = {
  name: "stall",
  arg: events(),
  random: true,
  summary: "nothing more after this many events, the socket stays open",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield hang;
  },
  answer: (ask) => halfAnswer(ask, hang),
};
