/** An error event, a usage chunk and [DONE]: SGLang, which reports usage even for what failed. */
import { usageChunk } from "../../chat-chunks.ts";
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

const ERROR = {
  error: { message: "The scheduler aborted the request.", type: "InternalServerError", param: null, code: 500 },
};

export const errorSglang: Fault = {
  name: "error-sglang",
  arg: events(),
  dialects: ["chat"],
  summary: "an error event after this many events, a usage chunk, [DONE]",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
    yield event(usageChunk(ask));
    yield done;
  },
  answer: () => jsonReply(500, ERROR),
};
