import { expect, it } from "vitest";
import { explainKeyShape } from "./key-shape.ts";

const HEX = "0123456789abcdef0123456789abcdef";

it.each([
  ["https://api.openai.com/v1", "sk-proj-abc"],
  ["https://api.openai.com/v1", "sk-abc"],
  ["https://api.anthropic.com/v1", "sk-ant-api03-abc"],
  ["https://openrouter.ai/api/v1", "sk-or-v1-abc"],
  ["https://api.deepseek.com/v1", `sk-${HEX}`],
  ["https://open.bigmodel.cn/api/paas/v4", `${HEX}.AbCdEfGhIjKlMnOp`],
  ["https://api.groq.com/openai/v1", "gsk_abc"],
  ["https://my.openai.azure.com", HEX],
  // A server of one's own takes any text.
  ["http://127.0.0.1:8000/v1", '"begins like a quotation'],
  ["http://127.0.0.1:8000/v1", "EMPTY"],
  ["http://127.0.0.1:8000/v1", "none"],
])("takes a key that fits: %s %s", (baseUrl, key) => {
  expect(explainKeyShape(baseUrl, key)).toBeUndefined();
});

it.each([
  ["https://api.openai.com/v1", "sk-ant-abc", "OpenAI"],
  ["https://api.openai.com/v1", "sk-or-abc", "OpenAI"],
  ["https://api.openai.com/v1", "EMPTY", "OpenAI"],
  ["https://api.anthropic.com/v1", "sk-abc", "Anthropic"],
  ["https://openrouter.ai/api/v1", "sk-abc", "OpenRouter"],
  ["https://open.bigmodel.cn/api/paas/v4", "sk-abcdefgh", "Zhipu"],
  ["https://my.openai.azure.com", "sk-abc", "Azure"],
  ["http://127.0.0.1:8000/v1", "Bearer", "Bearer"],
  ["http://127.0.0.1:8000/v1", '"sk-abc"', "quotes"],
  ["http://127.0.0.1:8000/v1", "$OPENAI_API_KEY", "variable"],
  ["http://127.0.0.1:8000/v1", "sk-xxxx", "placeholder"],
  ["http://127.0.0.1:8000/v1", "<your-key>", "placeholder"],
  ["https://api.openai.com/v1", "YOUR_API_KEY", "placeholder"],
])("says what is wrong, and never the key: %s %s", (baseUrl, key, says) => {
  const said = explainKeyShape(baseUrl, key);
  expect(said).toContain(says);
  if (key.length > 6) expect(said).not.toContain(key);
});

it("does not take a host for a provider whose name it ends with", () => {
  expect(explainKeyShape("https://notopenai.com/v1", "abc")).toBeUndefined();
  expect(explainKeyShape("https://api.openai.com.example/v1", "abc")).toBeUndefined();
});
