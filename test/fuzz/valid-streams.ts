/** Valid streams of every dialect, event by event in wire form: what the mutations begin with. */
import type { DialectName } from "./case.ts";
import type { Random } from "./random.ts";

const WORDS = ["Hé", "水", "🌊", "a", " stream", ' "quoted"', "\\", "\n", "data: x", "[DONE]", "\u2028", "{}", " end."];

const data = (json: unknown): string => `data: ${JSON.stringify(json)}\n\n`;
const named = (event: string, json: object): string => `event: ${event}\ndata: ${JSON.stringify({ type: event, ...json })}\n\n`;
const words = (random: Random): string[] => Array.from({ length: random.int(1, 5) }, () => random.pick(WORDS));

export function validStream(dialect: DialectName, choices: number, random: Random): string[] {
  switch (dialect) {
    case "chat":
      return chat(choices, random);
    case "completions":
      return completions(choices, random);
    case "messages":
      return messages(random);
    case "responses":
      return responses(random);
    case "chatchat":
      return words(random).map((text) => data({ [random.pick(["text", "answer"])]: text, message_id: "1" }));
    case "chatchat-completions":
      return chatchatCompletions(random);
  }
}

function chat(choices: number, random: Random): string[] {
  const chunk = (index: number, delta: object, finish_reason: string | null = null): string =>
    data({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index, delta, finish_reason }] });
  const events: string[] = [];
  for (let index = 0; index < choices; index++) {
    events.push(chunk(index, { role: "assistant", content: "" }));
    if (random.chance(0.2)) events.push(...words(random).map((reasoning_content) => chunk(index, { reasoning_content })));
    events.push(...words(random).map((content) => chunk(index, { content })));
    const calls = random.chance(0.25);
    if (calls) {
      const call = (part: object): string => chunk(index, { tool_calls: [{ index: 0, ...part }] });
      events.push(call({ id: "call_1", type: "function", function: { name: "f", arguments: "" } }));
      for (const part of ['{"a', '":', '"水"}']) events.push(call({ function: { arguments: part } }));
    }
    events.push(chunk(index, {}, calls ? "tool_calls" : random.pick(["stop", "length"])));
  }
  if (random.chance(0.4))
    events.push(data({ id: "c", object: "chat.completion.chunk", choices: [], usage: { total_tokens: 3 } }));
  if (random.chance(0.85)) events.push("data: [DONE]\n\n");
  return events;
}

function completions(choices: number, random: Random): string[] {
  const chunk = (index: number, text: string, finish_reason: string | null = null): string =>
    data({ id: "c", object: "text_completion", created: 1, model: "m", choices: [{ index, text, finish_reason }] });
  const events: string[] = [];
  for (let index = 0; index < choices; index++) {
    events.push(...words(random).map((text) => chunk(index, text)));
    events.push(chunk(index, "", random.pick(["stop", "length"])));
  }
  if (random.chance(0.85)) events.push("data: [DONE]\n\n");
  return events;
}

function messages(random: Random): string[] {
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], stop_reason: null, usage: {} };
  const events = [named("message_start", { message })];
  const blocks = random.int(1, 3);
  let lastIsTool = false;
  for (let index = 0; index < blocks; index++) {
    if (random.chance(0.3)) events.push(named("ping", {}));
    const kind = random.pick(["text", "text", "thinking", "tool"]);
    lastIsTool = kind === "tool";
    const delta = (part: object): string => named("content_block_delta", { index, delta: part });
    if (kind === "tool") {
      const content_block = { type: "tool_use", id: "toolu_1", name: "f", input: {} };
      events.push(named("content_block_start", { index, content_block }));
      for (const partial_json of ['{"a', '":1}']) events.push(delta({ type: "input_json_delta", partial_json }));
    } else {
      events.push(named("content_block_start", { index, content_block: { type: kind, [kind]: "" } }));
      for (const word of words(random)) events.push(delta({ type: `${kind}_delta`, [kind]: word }));
    }
    events.push(named("content_block_stop", { index }));
  }
  const stop_reason = lastIsTool ? "tool_use" : random.pick(["end_turn", "max_tokens"]);
  events.push(named("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 3 } }));
  if (random.chance(0.9)) events.push(named("message_stop", {}));
  return events;
}

function responses(random: Random): string[] {
  let sequence_number = 0;
  const numbered = (type: string, json: object): string => named(type, { sequence_number: sequence_number++, ...json });
  const response = { id: "resp_1", object: "response", status: "in_progress", model: "m", output: [] as object[] };
  const events = [numbered("response.created", { response })];
  for (let output_index = 0; output_index < random.int(1, 2); output_index++) {
    if (random.chance(0.3)) {
      const item = { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: '{"a":1}' };
      events.push(numbered("response.output_item.added", { output_index, item: { ...item, arguments: "" } }));
      for (const delta of ['{"a', '":1}']) {
        events.push(numbered("response.function_call_arguments.delta", { item_id: "fc_1", output_index, delta }));
      }
      events.push(numbered("response.output_item.done", { output_index, item }));
      response.output.push(item);
      continue;
    }
    const said = words(random);
    const at = { item_id: "msg_1", output_index, content_index: 0 };
    const item = { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: said.join("") }] };
    events.push(numbered("response.output_item.added", { output_index, item: { ...item, content: [] } }));
    events.push(...said.map((delta) => numbered("response.output_text.delta", { ...at, delta })));
    events.push(numbered("response.output_text.done", { ...at, text: said.join("") }));
    events.push(numbered("response.output_item.done", { output_index, item }));
    response.output.push(item);
  }
  events.push(numbered("response.completed", { response: { ...response, status: "completed" } }));
  return events;
}

function chatchatCompletions(random: Random): string[] {
  const chunk = (choice: object): string =>
    data({ id: "c", object: "chat.completion.chunk", status: null, message_id: "1", choices: [choice] });
  return [
    ...words(random).map((content) => chunk({ delta: { content, tool_calls: [] }, role: "assistant" })),
    chunk({ index: 0, delta: {}, finish_reason: "stop" }),
  ];
}
