/** Every dialect that Perennial understands, and the paths at which it is spoken: a new one is a file and a line here. */
import type { Dialect } from "../core/dialect.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import { chatchat, chatchatAgent, chatchatCompletions, chatchatMessages, chatchatWords } from "./chatchat.ts";
import { createJsonRoute } from "./json-routes.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiCompletions } from "./openai-completions.ts";
import { openAiResponses } from "./openai-responses.ts";

export interface Route {
  /** As clients ask for it; `{name}` is a name of theirs. Under `/v1` also the path that follows the upstream's base URL. */
  readonly path: string;
  readonly dialect: Dialect;
}

/** What an OpenAI-compatible server serves, each path under the base URL. */
export const OPENAI_ROUTES: readonly Route[] = [
  { path: "/chat/completions", dialect: openAiChat },
  { path: "/completions", dialect: openAiCompletions },
  { path: "/responses", dialect: openAiResponses },
  { path: "/messages", dialect: anthropicMessages },
  { path: "/messages/count_tokens", dialect: createJsonRoute("count_tokens", anthropicMessages) },
  ...jsonRoutes(
    "/embeddings",
    "/moderations",
    "/responses/input_tokens",
    // vLLM, SGLang, Xinference, LocalAI and Jina, where their base URL has no /v1 as well
    "/rerank",
    "/score",
    "/classify",
    "/pooling",
    "/tokenize",
    "/detokenize",
  ),
];

/**
 * What Azure OpenAI serves, each path under the address of its resource: its deployments (`AzureOpenAI`; with a `base_url` it leaves
 * `/openai` out), and its v1 API. The routes of OpenAI are for a base URL that ends with `/openai/v1`.
 */
export const AZURE_ROUTES: readonly Route[] = [
  ...OPENAI_ROUTES,
  ...["/openai/deployments/{name}", "/deployments/{name}"].flatMap((deployment) => [
    { path: `${deployment}/chat/completions`, dialect: openAiChat },
    { path: `${deployment}/completions`, dialect: openAiCompletions },
  ]),
  { path: "/openai/responses", dialect: openAiResponses },
  { path: "/openai/v1/chat/completions", dialect: openAiChat },
  { path: "/openai/v1/completions", dialect: openAiCompletions },
  { path: "/openai/v1/responses", dialect: openAiResponses },
];

/** What Langchain-Chatchat serves beside everything that passes through, each path under its root. */
export const CHATCHAT_ROUTES: readonly Route[] = [
  // 0.2.x
  { path: "/chat/chat", dialect: chatchat },
  { path: "/chat/fastchat", dialect: chatchatMessages },
  { path: "/chat/knowledge_base_chat", dialect: chatchat },
  { path: "/chat/search_engine_chat", dialect: chatchat },
  { path: "/chat/file_chat", dialect: chatchat },
  { path: "/chat/agent_chat", dialect: chatchatAgent },
  { path: "/other/completion", dialect: chatchatWords },
  // 0.3.x
  { path: "/chat/kb_chat", dialect: chatchat },
  { path: "/knowledge_base/chat/completions", dialect: chatchatMessages },
  { path: "/chat/chat/completions", dialect: chatchatCompletions },
  { path: "/v1/chat/completions", dialect: chatchatCompletions },
  // What its knowledge bases live on, in both.
  ...jsonRoutes("/other/embed_texts", "/knowledge_base/search_docs", "/v1/embeddings", "/v1/rerank", "/v1/moderations"),
];

/** As it is called in logs. Undefined for one that is not known. */
export function dialectNamed(name: string): Dialect | undefined {
  return [...OPENAI_ROUTES, ...CHATCHAT_ROUTES].find(({ dialect }) => dialect.name === name)?.dialect;
}

function jsonRoutes(...paths: readonly string[]): readonly Route[] {
  return paths.map((path) => ({ path, dialect: createJsonRoute(operationAt(path)) }));
}

/** `/v1/embeddings` → `embeddings`. */
function operationAt(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
