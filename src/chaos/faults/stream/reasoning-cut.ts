/** A cut while the model still reasons: the user has seen thoughts, but no answer. */
import { REASONING_TOKENS } from "../../answer.ts";
import { deltaChunk } from "../../chat-chunks.ts";
import { halfAnswer, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, fin } from "../../script.ts";

export const reasoningCut: Fault = {
  name: "reasoning-cut",
  arg: events(3),
  dialects: ["chat"],
  summary: "closes after this many reasoning_content deltas",
  *stream(ask, count) {
    yield* openedStream(ask, ask.choices);
    for (const reasoning_content of REASONING_TOKENS.slice(0, count)) yield event(deltaChunk(ask, 0, { reasoning_content }));
    yield fin;
  },
  answer: (ask) => halfAnswer(ask, fin),
};
