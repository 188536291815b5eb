/** How completions go on after a break: there are no turns, so that the prompt simply grows by what the client has. */
import type { Continuing } from "../core/continuing.ts";
import {
  asksForJson,
  type ChoiceShape,
  ChoicesLeg,
  determinismOf,
  maxTokensOf,
  obstacleInChoices,
  recordChoices,
  whoAnswers,
  withMaxTokens,
} from "./continue-choices.ts";
import { holdsSomething, isObject } from "./json.ts";

const shape: ChoiceShape = {
  read({ text, index: _index, finish_reason: _finish, logprobs: _logprobs, ...others }) {
    const rule = Object.entries(others).some(([key, value]) => !ENDINGS.has(key) && holdsSomething(value))
      ? "other-content"
      : undefined;
    return { text: typeof text === "string" ? text : "", rule };
  },
  write: (choice, text) => (typeof choice.text === "string" ? { ...choice, text } : choice),
};

/** Tokens of an answer whose request sets no limit: OpenAI, vLLM and SGLang make no more, llama.cpp does. */
const USUAL_LIMIT = 16;

/** What servers say of how a choice ended. */
const ENDINGS: ReadonlySet<string> = new Set(["stop_reason", "matched_stop"]);

export const continueCompletions: Continuing = {
  record: () => recordChoices(shape),
  isDeterministic: determinismOf,
  // Of a limit that the request does not name no rest can be asked for: the server would take it for granted once more.
  maxTokens: (body, made) => maxTokensOf(body) ?? (made > USUAL_LIMIT ? undefined : 0),
  asksForJson,
  openLeg: (given, leg) => new ChoicesLeg(given, leg, shape),
  refusesTrailingSpace: false,
  // Servers exist that make a turn of a prompt: they too must be proved.
  askQuestion: (body, question, maxTokens) => ({
    ...whoAnswers(body),
    prompt: `${question}\n\n`,
    temperature: 0,
    max_tokens: maxTokens,
  }),

  obstacleIn(body, allowed) {
    if (!isObject(body) || typeof body.prompt !== "string") return "unsupported";
    if (holdsSomething(body.suffix)) return "unsupported";
    return obstacleInChoices(body, allowed);
  },

  askRest(body, { prefix, maxTokens }) {
    if (!isObject(body) || typeof body.prompt !== "string") return undefined;
    return { ...withMaxTokens(body, maxTokens), prompt: body.prompt + prefix, stream: true };
  },
};
