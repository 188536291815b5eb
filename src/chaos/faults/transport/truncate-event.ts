/** A cut in the middle of an event, which is also the middle of a chunk. */
import { halfAnswer, nextEvent, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { fin, send } from "../../script.ts";

export const truncateEvent: Fault = {
  name: "truncate-event",
  arg: events(),
  random: true,
  summary: "closes in the middle of the event after this many",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    const cut = nextEvent(ask, count);
    yield { ...send(cut.subarray(0, Math.floor(cut.length / 2))), promised: cut.length };
    yield fin;
  },
  answer: (ask) => halfAnswer(ask, fin),
};
