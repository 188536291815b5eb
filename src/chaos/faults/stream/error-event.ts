/** OpenAI's error object in the stream, then a clean end. llama.cpp sends the same shape. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { errorReply, event } from "../../script.ts";

const MESSAGE = "The server had an error while processing your request. Sorry about that!";

export const errorEvent: Fault = {
  name: "error-event",
  arg: events(),
  random: true,
  summary: "an OpenAI error event after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event({ error: { message: MESSAGE, type: "server_error", param: null, code: null } });
  },
  answer: () => errorReply(500, MESSAGE),
};
