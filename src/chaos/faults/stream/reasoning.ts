/** A reasoning model: `reasoning_content` deltas first, as DeepSeek and vLLM send them, then the answer. */
import { REASONING_TOKENS } from "../../answer.ts";
import { completion, contentChunks, deltaChunk } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, event, jsonReply } from "../../script.ts";

export const reasoning: Fault = {
  name: "reasoning",
  dialects: ["chat"],
  summary: "reasoning_content deltas, then the whole answer",
  *stream(ask) {
    yield* openedStream(ask, ask.choices);
    for (const reasoning_content of REASONING_TOKENS) {
      for (let index = 0; index < ask.choices; index++) yield event(deltaChunk(ask, index, { reasoning_content }));
    }
    for (const data of contentChunks(ask)) yield event(data);
    yield* finishEvents(ask);
    yield done;
  },
  answer: (ask) => jsonReply(200, completion(ask, { message: { reasoning_content: REASONING_TOKENS.join("") } })),
};
