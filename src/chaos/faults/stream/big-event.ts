/** One event of many bytes, in an otherwise whole answer: for limits on memory. */
import { completion, deltaChunk } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bytes } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

export const bigEvent: Fault = {
  name: "big-event",
  arg: bytes(8 * 1024 ** 2),
  dialects: ["chat"],
  summary: "a whole answer with one event of this many bytes",
  *stream(ask, size) {
    yield* openedStream(ask, ask.choices);
    // The size is that of the whole event, its line ends included; one too small for its JSON is as small as can be.
    const frame = Buffer.byteLength(event(deltaChunk(ask, 0, { content: "" })).bytes);
    yield event(deltaChunk(ask, 0, { content: "x".repeat(Math.max(1, size - frame)) }));
    yield* finishEvents(ask);
    yield done;
  },
  answer: (ask, size) => jsonReply(200, completion(ask, { message: { content: "x".repeat(size) } })),
};
