/** What a hostile upstream does to a stream; the model that is asked for names it. Each writes until its client has left. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export type Behaviour = (response: ServerResponse) => Promise<void>;

const chunk = (delta: object, index = 0, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index, delta, finish_reason }] })}\n\n`;

/** The healthy stream's words, the same for all. */
export const WORDS: readonly string[] = Array.from({ length: 20 }, (_, i) => `word ${i} `);
const HEALTHY = [chunk({ role: "assistant", content: "" }), ...WORDS.map((content) => chunk({ content })), chunk({}, 0, "stop")];

/** So many bytes at once: enough to fill every buffer soon. */
const BATCH_BYTES = 64 * 1024;

/** Writes as fast as it is read, for ever. */
async function floodOf(response: ServerResponse, next: () => string): Promise<void> {
  while (!response.destroyed) {
    let batch = "";
    while (batch.length < BATCH_BYTES) batch += next();
    if (!response.write(batch)) await drainedOrLeft(response);
    // Its process serves others, too.
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

function drainedOrLeft(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      response.off("drain", over).off("close", over);
      resolve();
    };
    response.once("drain", over).once("close", over);
  });
}

async function untilLeft(response: ServerResponse): Promise<void> {
  if (!response.destroyed) await once(response, "close");
}

export const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  async healthy(response) {
    for (const event of HEALTHY) {
      response.write(event);
      await sleep(20);
    }
    response.end("data: [DONE]\n\n");
  },
  flood: (response) => floodOf(response, () => chunk({ content: "flood ".repeat(100) })),
  metas: (response) => floodOf(response, () => chunk({ role: "assistant" })),
  empties: (response) => floodOf(response, () => chunk({ content: "" })),
  choices(response) {
    let index = 0;
    return floodOf(response, () => chunk({ content: "a" }, index++));
  },
  blocks(response) {
    let index = 0;
    const start = (): string => {
      const event = { type: "content_block_start", index: index++, content_block: { type: "text", text: "" } };
      return `event: content_block_start\ndata: ${JSON.stringify(event)}\n\n`;
    };
    return floodOf(response, start);
  },
  "tool call"(response) {
    let begun = false;
    return floodOf(response, () => {
      const call = begun ? {} : { id: "call_1", type: "function" };
      begun = true;
      return chunk({ tool_calls: [{ index: 0, ...call, function: { arguments: "x".repeat(100) } }] });
    });
  },
  "unfinished event"(response) {
    response.write('data: {"choices":[{"index":0,"delta":{"content":"');
    return floodOf(response, () => "a".repeat(1_000));
  },
  comments: (response) => floodOf(response, () => ": nothing\n\n"),
  async "content, then silence"(response) {
    response.write(HEALTHY.slice(0, 5).join(""));
    await untilLeft(response);
  },
  async silence(response) {
    await untilLeft(response);
  },
};
