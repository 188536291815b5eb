/** An answer in the Anthropic dialect, piece by piece. */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER, TOOL_MARK, WORDS } from "./scenarios.ts";

export interface Speech {
  readonly thinkMs: number;
  /** Undefined: no tool is called. */
  readonly toolMs: number | undefined;
  readonly breaks: boolean;
}

/** What one dialect says; each resolves when the body has ended. */
export interface Speaker {
  stream(request: Record<string, unknown>, response: ServerResponse, speech: Speech): Promise<void>;
  answer(request: Record<string, unknown>): object;
}

export const PING_EVERY_MS = 5_000;
/** In so many pieces come a tool's arguments. */
export const TOOL_PIECES = 20;

function message(request: Record<string, unknown>, content: object[], stop_reason: string | null): object {
  const usage = { input_tokens: 10, output_tokens: 10 };
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: request.model,
    content,
    stop_reason,
    stop_sequence: null,
    usage,
  };
}

export const messagesSpeaker: Speaker = {
  async stream(request, response, { thinkMs, toolMs, breaks }) {
    const say = (type: string, fields: object): void =>
      void response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
    response.writeHead(200, { "content-type": "text/event-stream" });
    say("message_start", { message: message(request, [], null) });
    let index = 0;
    const begin = (content_block: object): void => say("content_block_start", { index, content_block });
    const delta = (part: object): void => say("content_block_delta", { index, delta: part });
    const end = (): void => say("content_block_stop", { index: index++ });
    if (thinkMs > 0) {
      // Words first, so that the silence falls into mid-answer; then thoughts of which nothing is shown but that they were there.
      begin({ type: "text", text: "" });
      delta({ type: "text_delta", text: "Let me think." });
      end();
      begin({ type: "thinking", thinking: "", signature: "" });
      for (let waited = 0; waited < thinkMs && !response.destroyed; waited += PING_EVERY_MS) {
        await sleep(PING_EVERY_MS);
        say("ping", {});
      }
      delta({ type: "signature_delta", signature: "c2lnbmVk" });
      end();
    }
    begin({ type: "text", text: "" });
    for (const text of WORDS.slice(0, 3)) delta({ type: "text_delta", text });
    if (breaks) {
      await sleep(200);
      response.destroy();
      return;
    }
    for (const text of WORDS.slice(3)) delta({ type: "text_delta", text });
    end();
    if (toolMs !== undefined) {
      begin({ type: "tool_use", id: "toolu_1", name: "Bash", input: {} });
      for (const partial_json of piecesOf(JSON.stringify({ command: `echo ${TOOL_MARK}`, description: "Say the mark" }))) {
        await sleep(toolMs / TOOL_PIECES);
        delta({ type: "input_json_delta", partial_json });
      }
      end();
    }
    const stop_reason = toolMs === undefined ? "end_turn" : "tool_use";
    say("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 10 } });
    say("message_stop", {});
    response.end();
  },
  answer: (request) => message(request, [{ type: "text", text: ANSWER }], "end_turn"),
};

export function piecesOf(text: string): string[] {
  const size = Math.ceil(text.length / TOOL_PIECES);
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}
