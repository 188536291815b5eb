/** What a server that relays a model heard from it: a stand-in asks a real one, so that a proxy between the two can be seen at work. */
import { isObject, objectsOf, parseObject } from "../dialect/json.ts";
import { createSseDecoder } from "../sse/decode.ts";

export interface Heard {
  readonly words: readonly string[];
  /** The model came to its end; otherwise it failed behind these words, or before the first. */
  readonly finished: boolean;
}

const MAX_EVENT_BYTES = 16 * 1024 ** 2;

/** @param baseUrl of an OpenAI-compatible API. Never throws: a failure is what was heard by then. */
export async function askModel(baseUrl: string, model: string, prompt: string): Promise<Heard> {
  const words: string[] = [];
  let isOver = false;
  const decoder = createSseDecoder(
    {
      onEvent({ data }) {
        if (data.startsWith("[DONE]")) isOver = true;
        if (isOver) return;
        const chunk = parseObject(data);
        // As openai-python does: an error event is an exception.
        if (chunk === undefined || chunk.error) throw new Error("the model reported an error");
        for (const { delta } of objectsOf(chunk.choices)) {
          if (isObject(delta) && typeof delta.content === "string" && delta.content !== "") words.push(delta.content);
        }
      },
      onStrayLine() {},
    },
    MAX_EVENT_BYTES,
  );
  try {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content: prompt }] }),
    });
    if (!response.ok) return { words, finished: false };
    for await (const chunk of response.body ?? []) decoder.feed(Buffer.from(chunk));
    return { words, finished: true };
  } catch {
    return { words, finished: false };
  }
}
