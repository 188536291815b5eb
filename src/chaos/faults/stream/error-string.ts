/** An error that is only a string. Xinference sends it, and Langchain-Chatchat 0.3 from its master branch. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, jsonReply } from "../../script.ts";

const MESSAGE = "CUDA out of memory. The model worker gave up.";

export const errorString: Fault = {
  name: "error-string",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: '{"error": "text"} after this many events, then a clean end',
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event({ error: MESSAGE });
  },
  answer: () => jsonReply(500, { error: MESSAGE }),
};
