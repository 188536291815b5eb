/** An error in the stream, in the API's own shape, then a clean end. llama.cpp sends OpenAI's. */
import { errorEvents, errorReply, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";

const MESSAGE = "The server had an error while processing your request. Sorry about that!";

export const errorEvent: Fault = {
  name: "error-event",
  arg: events(),
  random: true,
  summary: "an OpenAI error event after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield* errorEvents(ask, MESSAGE, count);
  },
  answer: (ask) => errorReply(ask, 500, MESSAGE),
};
