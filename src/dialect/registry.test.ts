import { expect, test } from "vitest";
import { isJsonRoute } from "./json-routes.ts";
import { CHATCHAT_ROUTES, OPENAI_ROUTES } from "./registry.ts";

const ROUTES = [...OPENAI_ROUTES, ...CHATCHAT_ROUTES];

test.each(ROUTES)("the small question at $path is a request that its dialect reads", ({ dialect }) => {
  const { fields } = dialect.question;
  expect(dialect.parseRequest({ model: "m", stream: false, ...fields }).model).toBe("m");
  expect(JSON.stringify(fields)).toContain("你好，你是谁？");
});

test("each path at which a model answers is asked in its own fields", () => {
  const fieldsAt = Object.fromEntries(
    ROUTES.filter(({ dialect }) => !isJsonRoute(dialect)).map(({ path, dialect }) => [
      path,
      Object.keys(dialect.question.fields),
    ]),
  );
  expect(fieldsAt).toEqual({
    "/chat/completions": ["messages", "max_tokens"],
    "/completions": ["prompt", "max_tokens"],
    "/responses": ["input", "max_output_tokens"],
    "/messages": ["messages", "max_tokens"],
    "/chat/chat": ["query"],
    "/chat/fastchat": ["messages", "max_tokens"],
    "/chat/knowledge_base_chat": ["query"],
    "/chat/search_engine_chat": ["query"],
    "/chat/file_chat": ["query"],
    "/chat/agent_chat": ["query"],
    "/other/completion": ["query"],
    "/chat/kb_chat": ["query"],
    "/knowledge_base/chat/completions": ["messages", "max_tokens"],
    "/chat/chat/completions": ["messages", "max_tokens"],
    "/v1/chat/completions": ["messages", "max_tokens"],
  });
});
