/** An error as JSON over several lines, none of which is an event: Google's servers, and proxies that log what they pass on. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { jsonReply, send } from "../../script.ts";

const ERROR = { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } };

export const errorPretty: Fault = {
  name: "error-pretty",
  arg: events(),
  summary: "an error as JSON over several bare lines after this many events",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield send(`${JSON.stringify(ERROR, null, 2)}\n`);
  },
  answer: () => jsonReply(503, ERROR),
};
