/** An error in mid-stream that became an empty delta and a clean end: Ollama's /v1. */
import { deltaChunk } from "../../chat-chunks.ts";
import { errorReply, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event } from "../../script.ts";

export const errorOllama: Fault = {
  name: "error-ollama",
  arg: events(),
  dialects: ["chat"],
  summary: "an empty delta after this many events, then a clean end",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(deltaChunk(ask, 0, { role: "assistant", content: "" }));
  },
  answer: (ask) => errorReply(ask, 500, "llama runner process has terminated", { type: "api_error" }),
};
