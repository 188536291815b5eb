/** A worker that dies between two events: FIN without the end of the chunked body. ChatGLM3 does so on an exception in mid-generation. */
import { halfAnswer, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { fin } from "../../script.ts";

export const truncate: Fault = {
  name: "truncate",
  arg: events(),
  random: true,
  summary: "closes after this many events, the chunked body not ended",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield fin;
  },
  answer: (ask) => halfAnswer(ask, fin),
};
