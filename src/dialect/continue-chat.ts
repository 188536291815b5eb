/** How chat completions go on after a break: the beginning of the answer as the last message, in each server's own way. */
import type { SeamRule } from "../core/answer-record.ts";
import type { Allowances, AskRest, ContinuationStyle, Continuing } from "../core/continuing.ts";
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
import { holdsSomething, isObject, type JsonObject, objectsOf } from "./json.ts";

/** Fields in which servers send what the model thinks. */
const REASONING: ReadonlySet<string> = new Set([
  "reasoning_content",
  "reasoning",
  "reasoning_details",
  "thinking",
  "thinking_blocks",
]);
const TOOLS: ReadonlySet<string> = new Set(["tool_calls", "function_call"]);

const shape: ChoiceShape = {
  read(choice) {
    const { delta, message } = choice;
    let text = "";
    let rule: SeamRule | undefined;
    // A message may be a piece, all so far, or the whole answer once more; not all clients read it.
    if (!isObject(delta)) return { text, rule: holdsSomething(message) ? "other-content" : undefined };
    for (const key in delta) {
      const value = delta[key];
      if (key === "role" || !holdsSomething(value)) continue;
      if (key === "content" && typeof value === "string") text = value;
      else if (TOOLS.has(key)) rule = "tools";
      else if (REASONING.has(key)) rule = "reasoning";
      else rule ??= key === "audio" ? "audio" : "other-content";
    }
    return { text, rule };
  },
  write({ message, ...choice }, text) {
    if (!isObject(choice.delta)) return message === undefined ? { ...choice, delta: {} } : { ...choice, message };
    // Beside a delta it would say what was swallowed.
    const { role: _role, ...delta } = choice.delta;
    return { ...choice, delta: typeof delta.content === "string" ? { ...delta, content: text } : delta };
  },
};

/** What each server needs beside a last message of the assistant's. */
const FLAGS: Readonly<Record<ContinuationStyle, JsonObject>> = {
  assistant: {},
  vllm: { continue_final_message: true, add_generation_prompt: false, echo: false },
  sglang: { continue_final_message: true },
  llamacpp: { continue_final_message: true, add_generation_prompt: false },
  prefix: {},
  partial: {},
};

/** What it needs in that message. */
const MARKS: Readonly<Partial<Record<ContinuationStyle, JsonObject>>> = { prefix: { prefix: true }, partial: { partial: true } };

export const continueChat: Continuing = {
  record: () => recordChoices(shape),
  isDeterministic: determinismOf,
  maxTokens: maxTokensOf,
  asksForJson,
  openLeg: (given, leg) => new ChoicesLeg(given, leg, shape),
  refusesTrailingSpace: false,
  askQuestion: (body, content, maxTokens) => ({
    ...whoAnswers(body),
    messages: [{ role: "user", content }],
    temperature: 0,
    max_tokens: maxTokens,
  }),

  obstacleIn(body, allowed) {
    if (!isObject(body)) return "unsupported";
    return obstacleInChoices(body, allowed) ?? obstacleInChat(body, allowed);
  },

  askRest(body, { prefix, style, maxTokens }: AskRest) {
    if (!isObject(body) || !Array.isArray(body.messages)) return undefined;
    const message = { role: "assistant", content: prefix, ...MARKS[style] };
    return { ...withMaxTokens(body, maxTokens), ...FLAGS[style], messages: [...body.messages, message], stream: true };
  },
};

function obstacleInChat(body: JsonObject, allowed: Allowances): SeamRule | undefined {
  if (!Array.isArray(body.messages)) return "unsupported";
  if (!allowed.tools && offersTools(body)) return "tools";
  if (thinks(body)) return "thinking";
  if (body.audio || (Array.isArray(body.modalities) && body.modalities.some((kind) => kind !== "text"))) return "audio";
  // The client has begun the answer itself, in whatever way its server understands.
  if (objectsOf(body.messages).at(-1)?.role === "assistant") return "prefilled";
  if (isSet(body.continue_final_message) || body.add_generation_prompt === false) return "prefilled";
  return undefined;
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false;

function offersTools(body: JsonObject): boolean {
  const isOffered = holdsSomething(body.tools) || holdsSomething(body.functions) || isSet(body.web_search_options);
  return isOffered && (body.tool_choice ?? body.function_call) !== "none";
}

/** It asks for thoughts, which the rest of an answer would begin with anew, or be made without. */
function thinks(body: JsonObject): boolean {
  const template = isObject(body.chat_template_kwargs) ? body.chat_template_kwargs : {};
  const thinking = isObject(body.thinking) ? body.thinking.type !== "disabled" : isSet(body.thinking);
  const effort = body.reasoning_effort ?? (isObject(body.reasoning) ? (body.reasoning.effort ?? "medium") : undefined);
  return (
    body.enable_thinking === true ||
    template.enable_thinking === true ||
    template.thinking === true ||
    thinking ||
    (isSet(effort) && effort !== "none" && effort !== "minimal")
  );
}
