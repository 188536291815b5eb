/** A finish_reason that is no good end: SGLang says `abort` for a request its scheduler gave up. */
import { completion } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, jsonReply } from "../../script.ts";

export const errorAbort: Fault = {
  name: "error-abort",
  arg: events(),
  dialects: ["chat"],
  summary: "finish_reason abort after this many events, then [DONE]",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield* finishEvents(ask, "abort");
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { message: { content: "" }, finishReason: "abort" })),
};
