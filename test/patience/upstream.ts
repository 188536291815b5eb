/** A model server with the habits of real ones at their true speed: minutes of pings, of comments, of nothing at all. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export interface Scene {
  readonly name: string;
  /** Under `/v1`. */
  readonly path: string;
  readonly stream: boolean;
  /** What the end of a whole answer contains. */
  readonly ending: string;
  play(response: ServerResponse): Promise<unknown>;
}

export interface PatientUpstream {
  readonly baseUrl: string;
  /** By scene. */
  readonly requests: ReadonlyMap<string, number>;
  close(): void;
}

const MINUTE = 60_000;
/** As Anthropic's API pings, more or less. */
const PING_MS = 10_000;

const named = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const chunk = (delta: object, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: "m", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

async function repeat(response: ServerResponse, text: string, everyMs: number, forMs: number): Promise<void> {
  for (const until = performance.now() + forMs; performance.now() < until && !response.destroyed; ) {
    response.write(text);
    await pause(everyMs);
  }
}

const begin = named("message_start", { message: { id: "m", type: "message", role: "assistant", content: [], usage: {} } });
const block = (index: number, content_block: object): string => named("content_block_start", { index, content_block });
const delta = (index: number, fields: object): string => named("content_block_delta", { index, delta: fields });
const stop = (index: number): string => named("content_block_stop", { index });
const text = (index: number): string =>
  block(index, { type: "text", text: "" }) + delta(index, { type: "text_delta", text: "Hello" }) + stop(index);
const messageEnd = named("message_delta", { delta: { stop_reason: "end_turn" }, usage: {} }) + named("message_stop");
const chatEnd = `${chunk({}, "stop")}data: [DONE]\n\n`;

const messages = { path: "/messages", stream: true, ending: "message_stop" };
const chat = { path: "/chat/completions", stream: true, ending: "[DONE]" };

export const SCENES: readonly Scene[] = [
  {
    ...messages,
    name: "hidden thoughts with pings for six minutes, then text",
    async play(response) {
      response.write(begin);
      await repeat(response, named("ping"), PING_MS, 6 * MINUTE);
      response.end(text(0) + messageEnd);
    },
  },
  {
    ...messages,
    name: "text, six minutes of pings, text",
    async play(response) {
      response.write(begin + text(0));
      await repeat(response, named("ping"), PING_MS, 6 * MINUTE);
      response.end(text(1) + messageEnd);
    },
  },
  {
    ...messages,
    name: "a tool input that comes in pieces for six minutes",
    async play(response) {
      response.write(begin + block(0, { type: "tool_use", id: "t", name: "write", input: {} }));
      await repeat(response, delta(0, { type: "input_json_delta", partial_json: " " }), 1_000, 6 * MINUTE);
      response.end(delta(0, { type: "input_json_delta", partial_json: "{}" }) + stop(0) + messageEnd);
    },
  },
  {
    path: "/responses",
    stream: true,
    ending: "response.completed",
    name: "a reasoning item with keepalives for six minutes",
    async play(response) {
      response.write(named("response.created", { response: { id: "r", status: "in_progress" } }));
      response.write(
        named("response.output_item.added", { output_index: 0, item: { id: "rs", type: "reasoning", summary: [] } }),
      );
      await repeat(response, named("keepalive"), PING_MS, 6 * MINUTE);
      response.write(named("response.output_text.delta", { output_index: 1, delta: "Hello" }));
      response.end(named("response.completed", { response: { id: "r", status: "completed", output: [] } }));
    },
  },
  {
    ...chat,
    name: "comments for six minutes before the first token",
    async play(response) {
      await repeat(response, ": processing\n\n", PING_MS, 6 * MINUTE);
      response.end(chunk({ content: "Hello" }) + chatEnd);
    },
  },
  {
    ...chat,
    name: "a first token after 75 s of nothing",
    play: (response) => pause(75_000).then(() => response.end(chunk({ content: "Hello" }) + chatEnd)),
  },
  {
    ...chat,
    name: "a first token after 150 s of nothing",
    play: (response) => pause(150_000).then(() => response.end(chunk({ content: "Hello" }) + chatEnd)),
  },
  {
    ...chat,
    name: "a role, then a first token after 4 minutes of nothing",
    async play(response) {
      response.write(chunk({ role: "assistant", content: "" }));
      await pause(4 * MINUTE);
      response.end(chunk({ content: "Hello" }) + chatEnd);
    },
  },
  {
    ...chat,
    name: "100 s of nothing between two words",
    async play(response) {
      response.write(chunk({ content: "Hel" }));
      await pause(100_000);
      response.end(chunk({ content: "lo" }) + chatEnd);
    },
  },
  {
    ...chat,
    name: "a finish, and a socket that stays open",
    async play(response) {
      response.write(chunk({ content: "Hello" }) + chunk({}, "stop"));
    },
  },
  {
    ...chat,
    stream: false,
    ending: '"finish_reason":"stop"',
    name: "not streamed, after six minutes",
    async play(response) {
      await pause(6 * MINUTE);
      const message = { role: "assistant", content: "Hello" };
      response.end(JSON.stringify({ id: "c", choices: [{ index: 0, message, finish_reason: "stop" }] }));
    },
  },
];

/** The model's number says which scene is played. */
export async function startPatientUpstream(): Promise<PatientUpstream> {
  const requests = new Map<string, number>();
  const server: Server = createServer({ requestTimeout: 0 }, async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const scene = SCENES[Number(JSON.parse(body).model)] as Scene;
    requests.set(scene.name, (requests.get(scene.name) ?? 0) + 1);
    response.writeHead(200, { "content-type": scene.stream ? "text/event-stream" : "application/json" });
    if (scene.stream) response.flushHeaders();
    await scene.play(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
