/** Half a JSON object in a whole event, then [DONE] as if nothing had happened. */
import { brokenAnswer, nextEvent, openedStream, terminator } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { send } from "../../script.ts";

export const halfJson: Fault = {
  name: "half-json",
  arg: events(),
  random: true,
  summary: "half a JSON object after this many events, then [DONE]",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    const whole = nextEvent(ask, count);
    yield send(Buffer.concat([whole.subarray(0, Math.floor(whole.length / 2)), Buffer.from("\n\n")]));
    yield* terminator(ask);
  },
  answer: brokenAnswer,
};
