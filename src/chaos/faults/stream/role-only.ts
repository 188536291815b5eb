/** The role, then a clean end: a worker that vanished before its first token. */
import { completion } from "../../chat-chunks.ts";
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { jsonReply } from "../../script.ts";

export const roleOnly: Fault = {
  name: "role-only",
  random: true,
  dialects: ["chat"],
  summary: "the role chunk, then a clean end",
  stream: (ask) => openedStream(ask, ask.choices),
  answer: (ask) => jsonReply(200, completion(ask, { message: { content: null }, finishReason: null })),
};
