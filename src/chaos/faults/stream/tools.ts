/** A streamed tool call, its arguments in several deltas. It calls the first tool the client offers. */
import { toolCallOf } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { jsonReply, streamHead } from "../../script.ts";

export const tools: Fault = {
  name: "tools",
  dialects: ["chat", "responses", "messages"],
  summary: "a whole tool call, its arguments in several deltas",
  *stream(ask) {
    yield streamHead();
    yield* toolCallOf(ask).begin(ask);
    yield* toolCallOf(ask).end(ask);
  },
  answer: (ask) => jsonReply(200, toolCallOf(ask).answer(ask)),
};
