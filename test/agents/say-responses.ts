/** An answer in the dialect of responses, piece by piece. */
import { setTimeout as sleep } from "node:timers/promises";
import { PING_EVERY_MS, piecesOf, type Speaker, TOOL_PIECES } from "./say-messages.ts";
import { ANSWER, TOOL_MARK, WORDS } from "./scenarios.ts";

function responseOf(request: Record<string, unknown>, output: object[], status: string): object {
  const usage = { input_tokens: 10, output_tokens: 10, total_tokens: 20 };
  return { id: "resp_1", object: "response", created_at: 1_764_100_000, status, model: request.model, output, usage };
}

function messageItem(text: string): object {
  const content = [{ type: "output_text", text, annotations: [] }];
  return { type: "message", id: "msg_1", role: "assistant", status: "completed", content };
}

/** The tool with which this version of the agent runs commands. */
function shellCall(request: Record<string, unknown>): { name: string; arguments: string } {
  const tools = Array.isArray(request.tools) ? (request.tools as { name?: string }[]) : [];
  const names = tools.map(({ name }) => name);
  const command = `echo ${TOOL_MARK}`;
  if (names.includes("exec_command")) return { name: "exec_command", arguments: JSON.stringify({ cmd: command }) };
  if (names.includes("shell_command")) return { name: "shell_command", arguments: JSON.stringify({ command }) };
  return { name: "shell", arguments: JSON.stringify({ command: ["bash", "-lc", command] }) };
}

export const responsesSpeaker: Speaker = {
  async stream(request, response, { thinkMs, toolMs, breaks }) {
    let sequence_number = 0;
    const say = (type: string, fields: object): void =>
      void response.write(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence_number++, ...fields })}\n\n`);
    response.writeHead(200, { "content-type": "text/event-stream" });
    const running = responseOf(request, [], "in_progress");
    say("response.created", { response: running });
    const output: object[] = [];
    if (thinkMs > 0) {
      const item = { type: "reasoning", id: "rs_1", summary: [] };
      say("response.output_item.added", { output_index: 0, item });
      for (let waited = 0; waited < thinkMs && !response.destroyed; waited += PING_EVERY_MS) {
        await sleep(PING_EVERY_MS);
        say("keepalive", {});
      }
      say("response.output_item.done", { output_index: 0, item });
      output.push(item);
    }
    const at = { item_id: "msg_1", output_index: output.length, content_index: 0 };
    say("response.output_item.added", { output_index: output.length, item: { ...messageItem(""), content: [] } });
    say("response.content_part.added", { ...at, part: { type: "output_text", text: "", annotations: [] } });
    for (const delta of WORDS.slice(0, 3)) say("response.output_text.delta", { ...at, delta });
    if (breaks) {
      await sleep(200);
      response.destroy();
      return;
    }
    for (const delta of WORDS.slice(3)) say("response.output_text.delta", { ...at, delta });
    say("response.output_text.done", { ...at, text: ANSWER });
    say("response.output_item.done", { output_index: output.length, item: messageItem(ANSWER) });
    output.push(messageItem(ANSWER));
    if (toolMs !== undefined) {
      const call = shellCall(request);
      const item = { type: "function_call", id: "fc_1", call_id: "call_1", status: "completed", ...call };
      const where = { item_id: "fc_1", output_index: output.length };
      say("response.output_item.added", { output_index: output.length, item: { ...item, status: "in_progress", arguments: "" } });
      for (const delta of piecesOf(call.arguments)) {
        await sleep(toolMs / TOOL_PIECES);
        say("response.function_call_arguments.delta", { ...where, delta });
      }
      say("response.function_call_arguments.done", { ...where, arguments: call.arguments });
      say("response.output_item.done", { output_index: output.length, item });
      output.push(item);
    }
    say("response.completed", { response: responseOf(request, output, "completed") });
    response.end();
  },
  answer: (request) => responseOf(request, [messageItem(ANSWER)], "completed"),
};
