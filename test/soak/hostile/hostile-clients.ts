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
  /** @defaultValue until it is stopped */
  readonly livesMs?: number;
}

/** In the order of their turns: the worst first, so that a short run meets them. */
export const HOSTILE_CLIENTS: readonly HostileClient[] = [
  { name: "endless metas, joined", model: "metas", streamed: false },
  { name: "leaves while it waits", model: "silence", livesMs: 50 },
  { name: "ever new choices, joined", model: "choices", streamed: false },
  { name: "does not read a flood", model: "flood", reads: "not at all" },
  { name: "an endless tool call, held", model: "tool call" },
  { name: "an upload that stops", model: "healthy", uploads: 30 * 1024 ** 2 },
  { name: "endless empty pieces, joined", model: "empties", streamed: false },
  { name: "reads a flood little by little", model: "flood", reads: "little by little" },
  { name: "ever new choices", model: "choices" },
  { name: "leaves in a flood", model: "flood", livesMs: 300 },
  { name: "ever new blocks", model: "blocks", path: "/v1/messages" },
  { name: "silence", model: "silence" },
  { name: "an event without an end", model: "unfinished event" },
  { name: "endless metas", model: "metas" },
  { name: "an endless tool call, joined", model: "tool call", streamed: false },
  { name: "an upload that stops, passed through", model: "healthy", path: "/v1/files", uploads: 30 * 1024 ** 2 },
  { name: "endless comments", model: "comments" },
  { name: "content, then silence", model: "content, then silence" },
  { name: "reads a flood", model: "flood" },
];

const LITTLE_EVERY_MS = 100;
const FOR_EVER_MS = 3_600_000;

/** Plays one client's life. Never throws: whatever happens to such a client is right, as long as the others do not feel it. */
export async function live(url: string, client: HostileClient, stop: AbortSignal): Promise<void> {
  const { model, path = "/v1/chat/completions", streamed = true, reads, uploads } = client;
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => {});
  const body = JSON.stringify({ model, stream: streamed, max_tokens: 9, messages: [{ role: "user", content: "hi" }] });
  const length = uploads ?? Buffer.byteLength(body);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`);
  if (uploads === undefined) socket.write(body);
  else await uploadMost(socket, uploads, stop);
  if (reads === "not at all") socket.pause();
  else if (reads === "little by little") readLittleByLittle(socket);
  else socket.resume();
  await lifeOf(socket, client.livesMs ?? FOR_EVER_MS, stop);
  socket.resetAndDestroy();
}

function lifeOf(socket: Socket, ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(over, ms);
    function over(): void {
      clearTimeout(timer);
      stop.removeEventListener("abort", over);
      socket.off("close", over);
      resolve();
    }
    stop.addEventListener("abort", over);
    socket.once("close", over);
    if (stop.aborted || socket.destroyed) over();
  });
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
