/** [DONE] without a finish_reason: FastChat, when its worker vanished. */
import { completion } from "../../chat-chunks.ts";
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, jsonReply } from "../../script.ts";

export const doneWithoutFinish: Fault = {
  name: "done-without-finish",
  arg: events(),
  dialects: ["chat"],
  summary: "[DONE] after this many events, no finish_reason",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { finishReason: null })),
};
