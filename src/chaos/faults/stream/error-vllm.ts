/** An error object with a numeric code, then [DONE] all the same: vLLM. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

const ERROR = { error: { message: "EngineCore encountered an issue.", type: "InternalServerError", param: null, code: 500 } };

export const errorVllm: Fault = {
  name: "error-vllm",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: "an error event after this many events, then [DONE]",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
    yield done;
  },
  answer: () => jsonReply(500, ERROR),
};
