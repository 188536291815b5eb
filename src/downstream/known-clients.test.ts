import { describe, expect, it } from "vitest";
import { failsOnCommentBlocks, raisesErrorEvents } from "./known-clients.ts";

/** As the clients of `npm run test:clients` send them, and agents as they were seen. */
const stainless = (lang: string, more: object = {}) => ({
  "x-stainless-lang": lang,
  "x-stainless-package-version": "1.0.0",
  ...more,
});

describe("clients that raise an error event to their user", () => {
  it.each([
    ["openai-python", { "user-agent": "OpenAI/Python 3.52.0", ...stainless("python") }],
    ["openai-python, async", { "user-agent": "AsyncOpenAI/Python 3.52.0", ...stainless("python") }],
    ["openai-python at Azure", { "user-agent": "AsyncAzureOpenAI/Python 3.52.0", ...stainless("python") }],
    [
      "with_raw_response, whose caller has the stream parsed",
      {
        "user-agent": "OpenAI/Python 3.52.0",
        ...stainless("python", { "x-stainless-raw-response": "true" }),
      },
    ],
    ["openai-node", { "user-agent": "OpenAI/JS 7.57.0", ...stainless("js") }],
    ["openai-go", { "user-agent": "OpenAI/Go 1.12.0", ...stainless("go") }],
    ["openai-java", { "user-agent": "OpenAI/Java 4.0.0", ...stainless("java") }],
    ["anthropic-python", { "user-agent": "Anthropic/Python 2.14.0", ...stainless("python") }],
    ["anthropic-python at Bedrock", { "user-agent": "AsyncAnthropicBedrock/Python 2.14.0", ...stainless("python") }],
    ["@anthropic-ai/sdk", { "user-agent": "Anthropic/JS 1.12.0", ...stainless("js") }],
    ["@langchain/openai", { "user-agent": "langchainjs-openai/1.0.0 ((node/v24.0.0; linux; x64))", ...stainless("js") }],
    ["a program that names the SDK in it after itself", { "user-agent": "Cline/3.0", ...stainless("js") }],
    ["Claude Code", { "user-agent": "claude-cli/2.1.197 (external, cli)", ...stainless("js") }],
    ["Claude Code, without more", { "user-agent": "claude-cli/2.1.197 (external, cli)" }],
    ["Codex", { "user-agent": "codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64) xterm", originator: "codex_cli_rs" }],
    ["Codex, not interactive", { "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)" }],
    ["Codex in an editor", { "user-agent": "codex_vscode/0.169.0" }],
  ])("%s", (_name, headers) => expect(raisesErrorEvents(headers)).toBe(true));

  it.each([
    ["nobody in particular", {}],
    ["requests", { "user-agent": "python-requests/2.34.2" }],
    ["httpx", { "user-agent": "python-httpx/0.28.1" }],
    ["aiohttp", { "user-agent": "Python/3.11 aiohttp/3.10.0" }],
    ["curl", { "user-agent": "curl/8.5.0" }],
    ["Node's fetch", { "user-agent": "node" }],
    ["undici", { "user-agent": "undici" }],
    ["plain Go", { "user-agent": "Go-http-client/1.1" }],
    ["plain Java", { "user-agent": "Java-http-client/17.0.2" }],
    ["the AI SDK", { "user-agent": "ai/6.0.326 ai-sdk/openai/3.0.1 ai-sdk/provider-utils/4.0.1 runtime/node.js/24" }],
    ["the AI SDK of today", { "user-agent": "ai-sdk-openai/4.0.118 ai-sdk-provider-utils/5.0.81 node.js/v24.0.0" }],
    ["the AI SDK in a program of its own name", { "user-agent": "my-app/1.0 ai-sdk-openai/4.0.118" }],
    [
      "with_streaming_response, whose caller reads the lines",
      {
        "user-agent": "OpenAI/Python 3.52.0",
        ...stainless("python", { "x-stainless-raw-response": "stream" }),
      },
    ],
    ["an SDK of another house, made from the same template", { "user-agent": "Together/Python 1.5.0", ...stainless("python") }],
    ["a program with one of the SDK's headers", { "user-agent": "Cline/3.0", "x-stainless-lang": "js" }],
    ["a program with the other one", { "user-agent": "Cline/3.0", "x-stainless-package-version": "1.0.0" }],
    ["a program whose header is empty", { "user-agent": "Cline/3.0", ...stainless(" ") }],
    ["a name that only holds another", { "user-agent": "my-codex-like-thing/1.0" }],
    ["a browser", { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0" }],
  ])("not %s", (_name, headers) => expect(raisesErrorEvents(headers)).toBe(false));
});

it("knows Go's SDKs by their language, whatever they are called", () => {
  expect(failsOnCommentBlocks({ "user-agent": "mine/1", ...stainless("go") })).toBe(true);
  expect(failsOnCommentBlocks({ "user-agent": "Go-http-client/1.1" })).toBe(false);
  expect(failsOnCommentBlocks(stainless("python"))).toBe(false);
});
