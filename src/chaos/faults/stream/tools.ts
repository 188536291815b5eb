/** A streamed tool call, its arguments in several deltas. It calls the first tool the client offers. */
import { completion } from "../../chat-chunks.ts";
import { finishEvents } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, event, jsonReply, streamHead } from "../../script.ts";
import { toolChunks, toolMessage } from "../../tool-call.ts";

export const tools: Fault = {
  name: "tools",
  summary: "a whole tool call, its arguments in several deltas",
  *stream(ask) {
    yield streamHead();
    for (const data of toolChunks(ask)) yield event(data);
    yield* finishEvents(ask, "tool_calls");
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { message: toolMessage(ask), finishReason: "tool_calls" })),
};
