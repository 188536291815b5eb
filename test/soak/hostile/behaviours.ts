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

function batchOf(next: () => string): string {
  let batch = "";
  while (batch.length < BATCH_BYTES) batch += next();
  return batch;
}

/** Writes as fast as it is read, for ever; a text that stays the same is made once. */
async function floodOf(response: ServerResponse, what: string | (() => string)): Promise<void> {
  const same = typeof what === "string" ? Buffer.from(batchOf(() => what)) : undefined;
  while (!response.destroyed) {
    const batch = same ?? batchOf(what as () => string);
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
  flood: (response) => floodOf(response, chunk({ content: "flood ".repeat(100) })),
  // As short as they can be: what is kept of each costs more than it does.
  metas: (response) => floodOf(response, 'data: {"choices":[]}\n\n'),
  empties: (response) => floodOf(response, 'data: {"choices":[{"delta":{}}]}\n\n'),
  choices(response) {
    let index = 0;
    const some = (): string => {
      const choices = Array.from({ length: 100 }, () => `{"index":${index++},"delta":{"content":"a"}}`);
      return `data: {"choices":[${choices}]}\n\n`;
    };
    return floodOf(response, some);
  },
  blocks(response) {
    let index = 0;
    return floodOf(response, () => `data: {"type":"content_block_start","index":${index++}}\n\n`);
  },
  "tool call"(response) {
    let begun = false;
    // A few bytes to be called with, in events a hundred times as large.
    const piece = chunk({ tool_calls: [{ index: 0, function: { arguments: "x" } }] });
    return floodOf(response, () => {
      if (begun) return piece;
      begun = true;
      return chunk({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "f", arguments: "" } }] });
    });
  },
  "unfinished event"(response) {
    response.write('data: {"choices":[{"index":0,"delta":{"content":"');
    return floodOf(response, "a".repeat(1_000));
  },
  comments: (response) => floodOf(response, ": nothing\n\n"),
  async "content, then silence"(response) {
    response.write(HEALTHY.slice(0, 5).join(""));
    await untilLeft(response);
  },
  async silence(response) {
    await untilLeft(response);
  },
};
