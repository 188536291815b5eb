/** A long answer without pauses: for throughput. */
import { lorem } from "../../answer.ts";
import { completion, deltaChunk } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

export const long: Fault = {
  name: "long",
  arg: events(1000),
  dialects: ["chat"],
  summary: "a whole answer of this many content events, no pauses",
  *stream(ask, count) {
    yield* openedStream(ask, ask.choices);
    for (let n = 0; n < count; n++) yield { ...event(deltaChunk(ask, n % ask.choices, { content: lorem(n) })), pause: 0 };
    yield* finishEvents(ask);
    yield done;
  },
  answer(ask, count) {
    const content = Array.from({ length: count }, (_, n) => lorem(n)).join("");
    return jsonReply(200, completion(ask, { message: { content } }));
  },
};
