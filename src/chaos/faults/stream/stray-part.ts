/** One event's JSON without `data: ` in front, in the middle of an answer that is whole otherwise: parsers drop such a line without a word. */
import { brokenAnswer, finishEvents, openingEvents, terminator } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { send, streamHead, toBuffer } from "../../script.ts";

export const strayPart: Fault = {
  name: "stray-part",
  arg: events(),
  summary: "the event after this many is a bare line of JSON; else whole",
  *stream(ask, count) {
    yield streamHead();
    const steps = [...openingEvents(ask)].filter((step) => step.do === "send");
    // Nobody misses a role.
    const stray = Math.min(Math.max(count, ask.choices), steps.length - 1);
    for (const [at, step] of steps.entries()) {
      yield at === stray
        ? send(
            toBuffer(step.bytes)
              .toString("utf8")
              .replace(/^(event: .*\n)?data: /, ""),
          )
        : step;
    }
    yield* finishEvents(ask);
    yield* terminator(ask);
  },
  answer: brokenAnswer,
};
