/** The real model behind a server of another shape: llama.cpp is given the prompt as that server would have made it, and says what comes next. */
import type { Generate, Message } from "../support/serving-shapes.ts";
import type { LlamaServer } from "./llama-server.ts";

/** How the model's template ends a turn of the assistant's, and begins the next. */
const NEXT_TURN = "<|im_end|>\n<|im_start|>assistant\n";

/** @param onTurn is told the pieces of each new turn, as they come. */
export function realModel(of: LlamaServer, onTurn: () => (piece: string) => void): Generate {
  const root = of.baseUrl.replace("/v1", "");

  async function promptOf(messages: readonly Message[], open: string): Promise<string> {
    const last = messages.at(-1);
    // Its own server would go on with a turn that is over here.
    if (last?.role === "assistant") return `${await promptOf(messages.slice(0, -1), last.content)}${NEXT_TURN}${open}`;
    const response = await fetch(`${root}/apply-template`, { method: "POST", body: JSON.stringify({ messages }) });
    return ((await response.json()) as { prompt: string }).prompt + open;
  }

  return async function* ({ messages, open, temperature, maxTokens, signal }) {
    const told = open === "" && messages.length === 1 ? onTurn() : () => undefined;
    const prompt = await promptOf(messages, open);
    const body = JSON.stringify({ prompt, temperature, n_predict: maxTokens ?? -1, stream: true, cache_prompt: false });
    const response = await fetch(`${root}/completion`, { method: "POST", body, signal });
    if (response.body === null || !response.ok) throw new Error(`the model answered with ${response.status}`);
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const { content, stop, stop_type } = JSON.parse(event.replace(/^data: /, ""));
        if (stop === true) return stop_type === "limit" ? "length" : "stop";
        told(content);
        if (content !== "") yield content;
      }
    }
    throw new Error("the model ended in the middle of its answer");
  };
}
