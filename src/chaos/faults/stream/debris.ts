/** One event that has lost the first half of its line, in the middle of an answer that is whole otherwise: parsers drop the rest of it. */
import { brokenAnswer, finishEvents, openingEvents, terminator } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { send, streamHead, toBuffer } from "../../script.ts";

export const debris: Fault = {
  name: "debris",
  arg: events(),
  summary: "the event after this many has lost the first half of its line; else whole",
  *stream(ask, count) {
    yield streamHead();
    const steps = [...openingEvents(ask)].filter((step) => step.do === "send");
    // A lost role loses no text.
    const lost = Math.min(Math.max(count, ask.choices), steps.length - 1);
    for (const [at, step] of steps.entries()) {
      if (at !== lost) yield step;
      else {
        const data = toBuffer(step.bytes)
          .toString("utf8")
          .replace(/^event: .*\n/, "");
        yield send(data.slice(Math.floor(data.length / 2)));
      }
    }
    yield* finishEvents(ask);
    yield* terminator(ask);
  },
  answer: brokenAnswer,
};
