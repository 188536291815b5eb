/** A 200 event stream of zero bytes. ChatGLM3 sends it for every answer of seven characters or fewer. */
import { emptyAnswer } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { streamHead } from "../../script.ts";

export const empty: Fault = {
  name: "empty",
  random: true,
  summary: "HTTP 200, an event stream of zero bytes",
  stream: () => [streamHead()],
  answer: emptyAnswer,
};
