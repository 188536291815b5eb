/** An answer that the content filter took away whole: finished, and rightly empty. */
import { completion } from "../../chat-chunks.ts";
import { finishEvents, partialStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, jsonReply } from "../../script.ts";

export const filtered: Fault = {
  name: "filtered",
  dialects: ["chat"],
  summary: "finish content_filter and [DONE], no content",
  *stream(ask) {
    yield* partialStream(ask, []);
    yield* finishEvents(ask, "content_filter");
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { message: { content: "" }, finishReason: "content_filter" })),
};
