/** A formally whole answer without content: a model may have nothing to say. */
import { completion } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, jsonReply } from "../../script.ts";

export const wholeEmpty: Fault = {
  name: "whole-empty",
  summary: "role, finish stop and [DONE], no content",
  *stream(ask) {
    yield* openedStream(ask, ask.choices);
    yield* finishEvents(ask);
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { message: { content: "" } })),
};
