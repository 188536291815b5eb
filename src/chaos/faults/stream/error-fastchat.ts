/** An error told by `error_code` beside a text, then [DONE]: FastChat. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { done, event, jsonReply } from "../../script.ts";

const ERROR = {
  text: "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.** (CUDA out of memory)",
  error_code: 50002,
};

export const errorFastchat: Fault = {
  name: "error-fastchat",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: '{"text", "error_code"} after this many events, then [DONE]',
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
    yield done;
  },
  answer: () => jsonReply(500, { object: "error", message: ERROR.text, code: ERROR.error_code }),
};
