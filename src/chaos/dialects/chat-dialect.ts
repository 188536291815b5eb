/** OpenAI chat completions, said event by event. */
import { completion, contentChunks, finishChunk, roleChunks, usageChunk } from "../chat-chunks.ts";
import type { DialectScript, ToolCallScript } from "../dialect-script.ts";
import { openAiErrorBody } from "../openai-error-body.ts";
import { done, event } from "../script.ts";
import { toolChunks, toolMessage } from "../tool-call.ts";

export const chatToolCall: ToolCallScript = {
  *begin(ask) {
    for (const data of toolChunks(ask)) yield event(data);
  },
  *end(ask) {
    yield* chatDialect.finish(ask, [], "tool_calls");
    yield done;
  },
  answer: (ask) => completion(ask, { message: toolMessage(ask), finishReason: "tool_calls" }),
};

export const chatDialect: DialectScript = {
  name: "chat",
  *begin(ask) {
    for (const chunk of roleChunks(ask)) yield event(chunk);
  },
  *text(ask, tokens) {
    for (const chunk of contentChunks(ask, tokens)) yield event(chunk);
  },
  *finish(ask, _tokens, reason = "stop") {
    for (let index = 0; index < ask.choices; index++) yield event(finishChunk(ask, index, reason));
    if (ask.includeUsage) yield event(usageChunk(ask));
  },
  terminator: () => [done],
  error: (_ask, message) => [event({ error: { message, type: "server_error", param: null, code: null } })],
  toolCall: chatToolCall,
  answer: (ask, tokens) => completion(ask, { message: { content: tokens.join("") } }),
  errorBody: openAiErrorBody,
};
