/** Choices with ever new indexes, of which none is finished: what keeps a note of each fills its memory. */
import { completion, deltaChunk } from "../../chat-chunks.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, jsonReply, streamHead } from "../../script.ts";

export const manyChoices: Fault = {
  name: "many-choices",
  arg: events(5_000),
  dialects: ["chat"],
  summary: "this many choices, none of which is finished",
  *stream(ask, count) {
    yield streamHead();
    for (let index = 0; index < count; index++) yield { ...event(deltaChunk(ask, index, { content: "a" })), pause: 0 };
  },
  answer: (ask, count) =>
    jsonReply(200, { ...completion(ask), choices: Array.from({ length: count }, (_, index) => ({ index })) }),
};
