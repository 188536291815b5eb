/** How OpenAI's responses go on after a break: only where the upstream has kept them, from one number to the next. */
import type { Continuing } from "../core/continuing.ts";
import { type Reading, TextRecorder } from "./answer-recorder.ts";
import { asCount } from "./continue-choices.ts";
import { isObject, parseObject } from "./json.ts";
import { readFlag } from "./lax-values.ts";

export const continueResponses: Continuing = {
  record: () =>
    new TextRecorder(({ data }): Reading => {
      const { type, sequence_number, response, delta } = parseObject(data) ?? {};
      return {
        text: type === "response.output_text.delta" && typeof delta === "string" ? delta : "",
        rules: /^response\.reasoning_(?:summary_)?text\.delta$/.test(String(type)) ? ["reasoning"] : [],
        head: isObject(response) ? { id: response.id } : undefined,
        sequence: asCount(sequence_number),
      };
    }),
  obstacleIn: () => "unsupported",
  isDeterministic: () => ({ greedy: false, seeded: false }),
  maxTokens: () => undefined,
  asksForJson: () => false,
  askRest: () => undefined,
  askQuestion: () => undefined,
  openLeg: () => ({
    read: () => ({ text: "", model: undefined, promptTokens: undefined, rule: undefined, finished: false }),
    adapt: (event) => event,
  }),
  refusesTrailingSpace: false,
  // Stored for a while by those who keep it: a client that will not have that is not asked about.
  askInBackground(body) {
    if (!isObject(body) || readFlag(body.background) || body.store === false) return undefined;
    return { ...body, background: true, store: true };
  },
  numberOf: ({ data }) => asCount(parseObject(data)?.sequence_number),
};
