/** An error under the event name `error`, as Anthropic-style servers and LM Studio name theirs. */
import { errorReply, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event } from "../../script.ts";

const MESSAGE = "CUDA out of memory. The model worker gave up.";

export const errorNamed: Fault = {
  name: "error-named",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: "event: error after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event({ error: { message: MESSAGE, type: "server_error", param: null, code: null } }, "error");
  },
  answer: (ask) => errorReply(ask, 500, MESSAGE),
};
