/** The APIs that are tried: where each is asked, how, and how the chaos server says it. */

import type { DialectScript } from "../../src/chaos/dialect-script.ts";
import { chatDialect } from "../../src/chaos/dialects/chat-dialect.ts";
import { completionsDialect } from "../../src/chaos/dialects/completions-dialect.ts";
import { messagesDialect } from "../../src/chaos/dialects/messages-dialect.ts";
import { responsesDialect } from "../../src/chaos/dialects/responses-dialect.ts";

export const DIALECTS = ["chat", "completions", "responses", "messages"] as const;
export type Dialect = (typeof DIALECTS)[number];

export interface DialectUse {
  readonly script: DialectScript;
  /** Under the base URL. */
  readonly path: string;
  /** The fields that hold the question, and others that the API needs. */
  question(text: string): Readonly<Record<string, unknown>>;
}

const messages = (text: string) => [{ role: "user", content: text }];

export const DIALECT_USES: Readonly<Record<Dialect, DialectUse>> = {
  chat: { script: chatDialect, path: "/chat/completions", question: (text) => ({ messages: messages(text) }) },
  completions: { script: completionsDialect, path: "/completions", question: (text) => ({ prompt: text }) },
  responses: { script: responsesDialect, path: "/responses", question: (text) => ({ input: text }) },
  messages: { script: messagesDialect, path: "/messages", question: (text) => ({ max_tokens: 256, messages: messages(text) }) },
};
