/** Azure OpenAI's first chunk: no choices, an empty id, the verdict of its content filter. It is no first token. */
import { completion } from "../../chat-chunks.ts";
import { wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { event, jsonReply } from "../../script.ts";

const UNHARMED = { filtered: false, severity: "safe" };
const FILTER_RESULTS = [
  { prompt_index: 0, content_filter_results: { hate: UNHARMED, self_harm: UNHARMED, sexual: UNHARMED, violence: UNHARMED } },
];
const FIRST_CHUNK = { choices: [], created: 0, id: "", model: "", object: "", prompt_filter_results: FILTER_RESULTS };

export const azure: Fault = {
  name: "azure",
  dialects: ["chat"],
  summary: "the whole answer after Azure's empty first chunk",
  *stream(ask) {
    for (const step of wholeStream(ask)) {
      yield step;
      if (step.do === "head") yield event(FIRST_CHUNK);
    }
  },
  answer: (ask) => jsonReply(200, { ...completion(ask), prompt_filter_results: FILTER_RESULTS }),
};
