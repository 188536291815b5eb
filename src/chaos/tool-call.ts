/** One tool call, whole and in deltas: what the `tools` faults send. */
import { deltaChunk } from "./chat-chunks.ts";
import type { Ask } from "./fault.ts";

export const TOOL_ARGUMENTS = ["", '{"', "city", '":"', "细水", "长流", '","unit":"', "celsius", '"}'];

/** The role, the call's name, then its arguments piece by piece; the choices take turns. */
export function* toolChunks(ask: Ask): Iterable<Record<string, unknown>> {
  for (let index = 0; index < ask.choices; index++) yield deltaChunk(ask, index, { role: "assistant", content: null });
  for (const [i, piece] of TOOL_ARGUMENTS.entries()) {
    for (let index = 0; index < ask.choices; index++) {
      const call = i === 0 ? { index: 0, ...toolCall(ask, index, piece) } : { index: 0, function: { arguments: piece } };
      yield deltaChunk(ask, index, { tool_calls: [call] });
    }
  }
}

export function toolMessage(ask: Ask): Record<string, unknown> {
  return { content: null, tool_calls: [toolCall(ask, 0, TOOL_ARGUMENTS.join(""))] };
}

function toolCall(ask: Ask, choice: number, text: string): Record<string, unknown> {
  return { id: `call_${ask.id.slice(-24)}${choice}`, type: "function", function: { name: ask.toolName, arguments: text } };
}
