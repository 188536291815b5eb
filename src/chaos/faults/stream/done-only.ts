/** Nothing but [DONE]. */
import { emptyAnswer } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, streamHead } from "../../script.ts";

export const doneOnly: Fault = {
  name: "done-only",
  dialects: ["chat", "completions"],
  summary: "only [DONE]",
  stream: () => [streamHead(), done],
  answer: emptyAnswer,
};
