/** The JavaScript clients, each used as its own documentation shows it. */
import { setTimeout as sleep } from "node:timers/promises";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, type LanguageModel, streamText } from "ai";
import OpenAI from "openai";
import type { Client, Job, Told } from "./job.ts";

// The AI SDK announces on the console what a provider does not support.
(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;

const apiKey = "sk-test";

const COMPLETE = { told: "complete", type: null, code: null } as const;

type Ask = (job: Job, onText: (text: string) => void | Promise<void>, signal: AbortSignal) => Promise<void>;

/** Left out, a setting of `maxRetries` is the client's default. */
const retriesOf = ({ ownRetries }: Job): { maxRetries?: 0 } => (ownRetries ? {} : { maxRetries: 0 });

const askOpenAi: Ask = async (job, onText, signal) => {
  const client = new OpenAI({ baseURL: job.baseUrl, apiKey, ...retriesOf(job) });
  if (job.api === "responses") {
    const events = await client.responses.create({ model: job.model, input: job.id, stream: true }, { signal });
    for await (const event of events) await onText(event.type === "response.output_text.delta" ? event.delta : "");
    return;
  }
  const body = { model: job.model, messages: [{ role: "user" as const, content: job.id }] };
  if (!job.stream) {
    const answer = await client.chat.completions.create(body, { signal });
    onText(answer.choices[0]?.message.content ?? "");
    return;
  }
  const stream = await client.chat.completions.create({ ...body, stream: true }, { signal });
  for await (const chunk of stream) await onText(chunk.choices[0]?.delta.content ?? "");
};

/** The provider `@ai-sdk/openai`, its chat API. */
const openAiModel = ({ baseUrl, model }: Job): LanguageModel => createOpenAI({ baseURL: baseUrl, apiKey }).chat(model);

const compatibleModel = ({ baseUrl, model }: Job): LanguageModel =>
  createOpenAICompatible({ name: "perennial", baseURL: baseUrl, apiKey })(model);

const askAi =
  (modelOf: (job: Job) => LanguageModel): Ask =>
  async (job, onText, abortSignal) => {
    const options = { model: modelOf(job), prompt: job.id, abortSignal, ...retriesOf(job) };
    if (!job.stream) {
      onText((await generateText(options)).text);
      return;
    }
    for await (const part of streamText({ ...options, onError() {} }).stream) {
      if (part.type === "text-delta") await onText(part.text);
      if (part.type === "error") throw part.error;
    }
  };

/** The loop that most examples show: the text alone, which leaves out the error parts. */
const askAiText: Ask = async (job, onText, abortSignal) => {
  const options = { model: openAiModel(job), prompt: job.id, abortSignal, ...retriesOf(job), onError() {} };
  for await (const text of streamText(options).textStream) await onText(text);
};

/** The same loop as it should be: the errors come to `onError`. */
export async function askAiWithOnError(job: Job): Promise<{ told: Told; finishReason: string }> {
  let error: unknown;
  let text = "";
  const result = streamText({
    model: openAiModel(job),
    prompt: job.id,
    maxRetries: 0,
    onError: (event) => {
      error = event.error;
    },
  });
  for await (const piece of result.textStream) text += piece;
  const end = error === undefined ? COMPLETE : describeError(error);
  return { told: { ...end, text, retries: 0 }, finishReason: await result.finishReason };
}

export const newChatOpenAi = (job: Job): ChatOpenAI =>
  new ChatOpenAI({ model: job.model, apiKey, configuration: { baseURL: job.baseUrl }, ...retriesOf(job) });

const askLangChain: Ask = async (job, onText, signal) => {
  const model = newChatOpenAi(job);
  if (job.stream) for await (const chunk of await model.stream(job.id, { signal })) await onText(String(chunk.content));
  else onText(String((await model.invoke(job.id, { signal })).content));
};

export const JAVASCRIPT_CLIENTS: readonly Client[] = [
  client("openai (JS)", askOpenAi),
  client("@langchain/openai", askLangChain),
  client("ai, @ai-sdk/openai", askAi(openAiModel)),
  client("ai, @ai-sdk/openai-compatible", askAi(compatibleModel)),
  client("ai, `textStream` only", askAiText, false),
];

function client(name: string, ask: Ask, plain = true): Client {
  return {
    name,
    plain,
    async ask(job, signal = new AbortController().signal) {
      let text = "";
      const onText = async (more: string): Promise<void> => {
        text += more;
        if (job.readMs) await sleep(job.readMs);
      };
      try {
        await ask(job, onText, signal);
        return { ...COMPLETE, text, retries: 0 };
      } catch (error) {
        return { ...describeError(error), text, retries: 0 };
      }
    },
  };
}

interface AnyError {
  readonly name?: string;
  readonly code?: unknown;
  /** The AI SDK keeps the parsed error body here. */
  readonly data?: { readonly code?: unknown; readonly error?: { readonly code?: unknown } };
}

function describeError(thrown: unknown): Pick<Told, "told" | "type" | "code"> {
  const error = thrown as AnyError;
  const code = error.code ?? error.data?.error?.code ?? error.data?.code;
  // The OpenAI SDK's classes leave `name` as it is; the AI SDK's are told apart by it.
  const type = error.name && error.name !== "Error" ? error.name : (thrown?.constructor.name ?? typeof thrown);
  return { told: "error", type, code: code === undefined || code === null ? null : String(code) };
}
