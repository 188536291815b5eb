/** Two choices, of which the second never finishes, then [DONE]. It sends two whatever `n` was. */
import { completion } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { done, jsonReply } from "../../script.ts";

export const twoChoices: Fault = {
  name: "two-choices",
  dialects: ["chat"],
  summary: "two choices, one of them unfinished, then [DONE]",
  *stream(ask) {
    yield* openedStream({ ...ask, choices: 2 });
    yield* finishEvents({ ...ask, choices: 1 });
    yield done;
  },
  answer(ask) {
    const body = completion({ ...ask, choices: 2 });
    Object.assign(body.choices[1] ?? {}, { finish_reason: null });
    return jsonReply(200, body);
  },
};
