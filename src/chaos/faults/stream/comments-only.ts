/** Only comments, then a clean end. Not streamed: blank lines, as DeepSeek sends while it waits. */
import type { Fault } from "../../fault.ts";
import { comment, reply, streamHead } from "../../script.ts";

export const commentsOnly: Fault = {
  name: "comments-only",
  summary: "only comments, then a clean end",
  stream: () => [streamHead(), comment("keep-alive"), comment("keep-alive"), comment("keep-alive")],
  answer: () => reply(200, "application/json", "\n\n\n"),
};
