/** Events as servers write them, and the stream that most tests cut, hold or spoil. */
import { chatEvents } from "./raw-upstream.ts";

/** One event without a name. */
export const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;

/** One event whose name is its type, as responses and messages have them. */
export const typed = (type: string, fields: object = {}): string => `event: ${type}\n${line({ type, ...fields })}`;

/** One chunk of a chat with one choice in it. */
export const choice = (delta: object, finish_reason: string | null = null, index = 0): string =>
  line({ id: "c", choices: [{ index, delta, finish_reason }] });

/** The beginning of a tool call, for a delta. */
export const call = (index = 0): object => ({
  tool_calls: [{ index, id: "t", function: { name: "weather", arguments: '{"city":' } }],
});

export const DONE = "data: [DONE]\n\n";
/** `Hello, world`, in three words. */
export const WORDS: readonly string[] = ["Hello", ", ", "world"];
export const WHOLE: readonly string[] = chatEvents(WORDS);
/** All of the words, and neither a finish nor a [DONE]. */
export const STARTED: readonly string[] = chatEvents(WORDS, { finish: null, done: false });

/** One chunk of a chat as OpenAI's own server says it. */
export const chatChunk = (delta: object, finish_reason: string | null = null): string =>
  line({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] });

/** A piece of a tool call; the first piece has its name. */
export function toolCall(index: number, args: string, name?: string): string {
  const named = name === undefined ? {} : { id: `call_${index}`, type: "function" };
  return chatChunk({
    tool_calls: [{ index, ...named, function: { ...(name === undefined ? {} : { name }), arguments: args } }],
  });
}
