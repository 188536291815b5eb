/** OpenAI completions, the older API: text in, text out, choices as in chat. */
import type { Dialect } from "../core/dialect.ts";
import { encodeData, encodeUnnamed } from "../sse/encode.ts";
import { continueCompletions } from "./continue-completions.ts";
import { choicesToEvents, eventsToChoices } from "./convert-choices.ts";
import type { JsonObject } from "./json.ts";
import {
  askChoicesStreamed,
  type ChoiceContent,
  ChoicesInspector,
  DONE,
  inspectChoices,
  readRequest,
  saysFinished,
  warnOfChoices,
} from "./openai-choices.ts";
import { openAiErrorBody } from "./openai-error.ts";
import { QUESTION } from "./question.ts";

export const openAiCompletions: Dialect = {
  name: "openai-completions",
  operation: "text_completion",
  question: { fields: { prompt: QUESTION, max_tokens: 32 }, headers: {} },
  terminator: encodeData(DONE),
  repairsTerminator: true,
  allowsComments: true,
  oneEventPerWrite: false,
  continuing: continueCompletions,

  parseRequest(body) {
    const { request, fields } = readRequest(body);
    // Each of several prompts gets choices of its own.
    const prompts =
      Array.isArray(fields.prompt) && fields.prompt.every((prompt) => typeof prompt !== "number") ? fields.prompt.length : 1;
    return { ...request, choices: request.choices * Math.max(1, prompts) };
  },
  askStreamed: askChoicesStreamed,
  inspectStream: (request) => new ChoicesInspector(request, readTextChoice),
  inspectAnswer: (answer, acceptEmpty, request) => inspectChoices(answer, acceptEmpty, request, readTextChoice),
  warnOfAnswer: warnOfChoices,
  saysFinished,
  answerToEvents: (answer, request) => choicesToEvents(answer, request, "text_completion", (choice) => choice, { text: "" }),
  eventsToAnswer: (events) =>
    eventsToChoices(events, "text_completion", (joined, part) => {
      joined.text = `${joined.text ?? ""}${typeof part.text === "string" ? part.text : ""}`;
    }),
  encodeEvent: encodeUnnamed,
  encodeError: (failure, message) => encodeData(JSON.stringify(openAiErrorBody(failure, message))),
  errorBody: openAiErrorBody,
};

function readTextChoice({ text }: JsonObject): ChoiceContent {
  const characters = typeof text === "string" ? text.length : 0;
  return { characters, hasContent: characters > 0, hasToolCall: false, toolBytes: 0 };
}
