/** Half a tool call after the finish, then [DONE]: a server whose parser of tool calls failed after it had said that all was over. */
import { deltaChunk } from "../../chat-chunks.ts";
import { brokenAnswer, finishEvents, openedStream, terminator } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { event } from "../../script.ts";

export const goesOn: Fault = {
  name: "goes-on",
  dialects: ["chat"],
  summary: "the text and its finish, then half a tool call, then [DONE]",
  *stream(ask) {
    yield* openedStream(ask);
    yield* finishEvents(ask);
    const call = { index: 0, id: "call_1", type: "function", function: { name: ask.toolName, arguments: '{"city":"细水' } };
    for (let index = 0; index < ask.choices; index++) yield event(deltaChunk(ask, index, { tool_calls: [call] }));
    yield* terminator(ask);
  },
  answer: brokenAnswer,
};
