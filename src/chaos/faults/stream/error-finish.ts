/** An error beside choices that finish with `error`, then [DONE]: OpenRouter. The Vercel AI SDK swallows it. */
import { chunk, completion } from "../../chat-chunks.ts";
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

const ERROR = { code: 502, message: "Provider disconnected unexpectedly." };

export const errorFinish: Fault = {
  name: "error-finish",
  arg: events(),
  dialects: ["chat"],
  summary: "error beside finish_reason error after this many events, then [DONE]",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(chunk(ask, [{ index: 0, delta: { content: "" }, finish_reason: "error" }], { error: ERROR }));
    yield done;
  },
  answer: (ask) => jsonReply(200, { ...completion(ask, { message: { content: "" }, finishReason: "error" }), error: ERROR }),
};
