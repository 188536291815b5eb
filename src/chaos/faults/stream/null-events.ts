/** Events that hold nothing between those of a whole answer: keep-alives of some servers, at which clients crash. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { event, mapSends } from "../../script.ts";

const NOTHINGS = ["null", "[]", '""', "0", "true"];

export const nullEvents: Fault = {
  name: "null-events",
  summary: "the whole answer, an event that holds nothing (null, [], …) before each of its events",
  stream(ask) {
    let at = 0;
    return mapSends(wholeStream(ask), (step) => [event(NOTHINGS[at++ % NOTHINGS.length]), step]);
  },
  answer: wholeAnswer,
};
