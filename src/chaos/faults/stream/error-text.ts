/** The word [ERROR] in place of JSON, as home-made servers send it. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, reply } from "../../script.ts";

const MESSAGE = "CUDA out of memory. The model worker gave up.";

export const errorText: Fault = {
  name: "error-text",
  arg: events(),
  dialects: ["chat", "completions"],
  summary: "data: [ERROR] after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(`[ERROR] ${MESSAGE}`);
  },
  answer: () => reply(500, "text/plain", `[ERROR] ${MESSAGE}`),
};
