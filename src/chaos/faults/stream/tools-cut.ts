/** A tool call that is cut inside its arguments: what arrived is not JSON. */
import { completion } from "../../chat-chunks.ts";
import { halfAnswer } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { event, fin, streamHead } from "../../script.ts";
import { toolChunks, toolMessage } from "../../tool-call.ts";

export const toolsCut: Fault = {
  name: "tools-cut",
  summary: "closes inside the arguments of a tool call",
  *stream(ask) {
    yield streamHead();
    const chunks = [...toolChunks(ask)];
    for (const data of chunks.slice(0, -2 * ask.choices)) yield event(data);
    yield fin;
  },
  answer: (ask) => halfAnswer({ ...ask, answer: () => completion(ask, { message: toolMessage(ask) }) }, fin),
};
