/** A whole answer with comments between all events, in the words of OpenRouter, sse-starlette and llama.cpp. */
import { answerBytes, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { mapSends, reply, send } from "../../script.ts";

const COMMENTS = ": OPENROUTER PROCESSING\n\n: ping - 2026-01-01 00:00:00.000000+00:00\n\n:\n\n";

export const comments: Fault = {
  name: "comments",
  summary: "the whole answer with comments between all events",
  stream: (ask) => mapSends(wholeStream(ask), (step) => [send(COMMENTS, 0), step]),
  // DeepSeek sends blank lines while a request that is not streamed waits.
  answer: (ask) => reply(200, "application/json", Buffer.concat([Buffer.from("\n\n\n"), answerBytes(ask)])),
};
