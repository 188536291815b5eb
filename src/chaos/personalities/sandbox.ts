/** The sandbox: the endpoints of OpenAI's API and Anthropic's, one answer for all of them. */
import { TOKENS } from "../answer.ts";
import type { DialectScript } from "../dialect-script.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import { completionsDialect } from "../dialects/completions-dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import { embeddings } from "../embedding.ts";
import { openAiErrorBody } from "../openai-error-body.ts";
import type { Endpoint, Personality } from "../personality.ts";
import { FAULTS } from "../registry.ts";

export function createSandbox(): Personality {
  return {
    basePath: "/v1",
    keepAliveMs: 60_000,
    endpoints: ENDPOINTS,
    headers: {},
    errorBody: openAiErrorBody,
    unreadableStatus: 400,
    hints: [],
  };
}

const MODELS: Endpoint = {
  answer: (ask) => ({
    object: "list",
    data: ["perennial-sandbox", ...FAULTS.map((fault) => `chaos/${fault.name}`)].map((id) => ({
      id,
      object: "model",
      created: ask.created,
      owned_by: "perennial",
    })),
  }),
};

/** What gateways ask to learn whether an upstream lives. */
const ALIVE: Endpoint = { answer: () => ({ status: "ok", name: "perennial chaos", api: "/v1" }) };

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "GET /": ALIVE,
  "GET /health": ALIVE,
  "GET /healthz": ALIVE,
  "GET /v1": ALIVE,
  "GET /v1/health": ALIVE,
  "GET /models": MODELS,
  "GET /v1/models": MODELS,
  "POST /v1/chat/completions": speaking(chatDialect),
  "POST /v1/completions": speaking(completionsDialect),
  "POST /v1/responses": speaking(responsesDialect),
  "POST /v1/messages": speaking(messagesDialect),
  "POST /v1/embeddings": { answer: (ask, fields) => embeddings(fields, ask.model) },
};

function speaking(dialect: DialectScript): Endpoint {
  return { dialect, answer: (ask) => dialect.answer(ask, TOKENS) };
}
