/** An error without an `error` key, then [DONE]: older vLLM. Most clients take it for an empty chunk. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

const ERROR = {
  object: "error",
  message: "EngineCore encountered an issue.",
  type: "InternalServerError",
  param: null,
  code: 500,
};

export const errorVllmFlat: Fault = {
  name: "error-vllm-flat",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: 'a flat {"object": "error"} after this many events, then [DONE]',
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
    yield done;
  },
  answer: () => jsonReply(500, ERROR),
};
