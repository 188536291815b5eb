/** An error as an SSE *field* named `error`, which parsers skip: llama.cpp before PR #16109. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { jsonReply, send } from "../../script.ts";

const ERROR = { code: 500, message: "Context size has been exceeded.", type: "server_error" };

export const errorField: Fault = {
  name: "error-field",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: 'a raw "error: {…}" line after this many events, then a clean end',
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield send(`error: ${JSON.stringify(ERROR)}\n\n`);
  },
  answer: () => jsonReply(500, { error: ERROR }),
};
