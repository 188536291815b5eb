/** A slow model: every event takes its time. Not streamed, the answer takes that long once. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { milliseconds } from "../../fault-arg.ts";
import { mapSends, wait } from "../../script.ts";

export const slow: Fault = {
  name: "slow",
  arg: milliseconds(500),
  summary: "the whole answer, each event after this time",
  stream: (ask, ms) => mapSends(wholeStream(ask), (step) => [{ ...step, pause: ms }]),
  *answer(ask, ms) {
    yield wait(ms);
    yield* wholeAnswer(ask);
  },
};
