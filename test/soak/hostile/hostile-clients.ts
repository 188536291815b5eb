/** Clients that no program should have: each lives for a while, and leaves without a word. */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface HostileClient {
  readonly name: string;
  /** The upstream's behaviour. */
  readonly model: string;
  readonly path?: string;
  readonly streamed?: boolean;
  /** @defaultValue reads whatever comes */
  readonly reads?: "not at all" | "little by little";
  /** Bytes of an upload that is promised and never finished. */
  readonly uploads?: number;
  /** @defaultValue as long as hostile clients live */
  readonly livesMs?: number;
}

export const HOSTILE_CLIENTS: readonly HostileClient[] = [
  { name: "reads a flood", model: "flood" },
  { name: "does not read a flood", model: "flood", reads: "not at all" },
  { name: "reads a flood little by little", model: "flood", reads: "little by little" },
  { name: "endless metas", model: "metas" },
  { name: "endless empty pieces, joined", model: "empties", streamed: false },
  { name: "endless metas, joined", model: "metas", streamed: false },
  { name: "ever new choices", model: "choices" },
  { name: "ever new choices, joined", model: "choices", streamed: false },
  { name: "ever new blocks", model: "blocks", path: "/v1/messages" },
  { name: "an endless tool call, held", model: "tool call" },
  { name: "an endless tool call, joined", model: "tool call", streamed: false },
  { name: "an event without an end", model: "unfinished event" },
  { name: "endless comments", model: "comments" },
  { name: "content, then silence", model: "content, then silence" },
  { name: "silence", model: "silence" },
  { name: "leaves while it waits", model: "silence", livesMs: 50 },
  { name: "leaves in a flood", model: "flood", livesMs: 300 },
  { name: "an upload that stops", model: "healthy", uploads: 30 * 1024 ** 2 },
  { name: "an upload that stops, passed through", model: "healthy", path: "/v1/files", uploads: 30 * 1024 ** 2 },
];

const LITTLE_EVERY_MS = 100;

/** Plays one client's life. Never throws: whatever happens to such a client is right, as long as the others do not feel it. */
export async function live(url: string, client: HostileClient, livesMs: number, stop: AbortSignal): Promise<void> {
  const { model, path = "/v1/chat/completions", streamed = true, reads, uploads } = client;
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => {});
  const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const body = JSON.stringify({ model, stream: streamed, max_tokens: 9, messages: [{ role: "user", content: "hi" }] });
  const length = uploads ?? Buffer.byteLength(body);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`);
  if (uploads === undefined) socket.write(body);
  else await uploadMost(socket, uploads, stop);
  if (reads === "not at all") socket.pause();
  else if (reads === "little by little") readLittleByLittle(socket);
  else socket.resume();
  await Promise.race([gone, sleep(client.livesMs ?? livesMs, undefined, { signal: stop }).catch(() => {})]);
  socket.resetAndDestroy();
}

/** All but the last tenth, which never comes. */
async function uploadMost(socket: Socket, bytes: number, stop: AbortSignal): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, 0x20);
  for (let sent = 0; sent < bytes * 0.9 && !stop.aborted; sent += piece.length) {
    if (socket.destroyed) return;
    socket.write(piece);
    while (socket.writableNeedDrain && !socket.destroyed && !stop.aborted) await sleep(5);
  }
}

function readLittleByLittle(socket: Socket): void {
  const timer = setInterval(() => {
    socket.resume();
    setImmediate(() => socket.pause());
  }, LITTLE_EVERY_MS);
  socket.once("close", () => clearInterval(timer));
  socket.pause();
}
