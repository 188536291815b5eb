/** A tool call that is cut inside its arguments: what arrived is not JSON. */
import { halfAnswer, toolCallOf } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { fin, streamHead } from "../../script.ts";

export const toolsCut: Fault = {
  name: "tools-cut",
  dialects: ["chat", "responses", "messages"],
  summary: "closes inside the arguments of a tool call",
  *stream(ask) {
    yield streamHead();
    yield* [...toolCallOf(ask).begin(ask)].slice(0, -2 * ask.choices);
    yield fin;
  },
  answer: (ask) => halfAnswer({ ...ask, answer: () => toolCallOf(ask).answer(ask) }, fin),
};
