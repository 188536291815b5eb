/** An upstream of raw sockets: the test says byte by byte what is answered, and how the connection ends. */

import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";

export interface RawRequest {
  readonly head: string;
  readonly body: string;
  /** The parsed body, or undefined. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly json: any;
  /** Counts the requests of this upstream, from 1. */
  readonly number: number;
}

export interface RawUpstream {
  readonly baseUrl: string;
  readonly requests: RawRequest[];
  /** Connections accepted so far. */
  connections: number;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

export async function startRawUpstream(answer: (socket: Socket, request: RawRequest) => unknown): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  const requests: RawRequest[] = [];
  // Without a delay, or a second small write would wait for the first to be acknowledged, and a reset soon after take it along.
  const server = createServer({ noDelay: true }, (socket) => {
    upstream.connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = received.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const body = Buffer.from(received.slice(end + 4, end + 4 + length), "latin1").toString("utf8");
      received = received.slice(end + 4 + length);
      const request = { head, body, json: body.startsWith("{") ? JSON.parse(body) : undefined, number: requests.length + 1 };
      requests.push(request);
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: RawUpstream = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    connections: 0,
    sockets,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return upstream;
}

export const SSE_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/** The ways in which a body can be delimited. */
/** A base URL where nobody listens. A port that was just closed may be another test's a moment later. */
export const NOBODY = "http://127.0.0.1:1";

export const FRAMINGS = ["chunked", "chunked-close", "content-length", "close-delimited"] as const;
export type Framing = (typeof FRAMINGS)[number];

/** A whole response in one framing; events are chunks of their own. */
export function frame(framing: Framing, events: readonly (string | Buffer)[], head = SSE_HEAD): Buffer {
  const parts = events.map((event) => Buffer.from(event as string));
  switch (framing) {
    case "chunked":
    case "chunked-close": {
      const chunks = parts.filter((part) => part.length > 0);
      const connection = framing === "chunked" ? "" : "connection: close\r\n";
      return Buffer.concat([
        Buffer.from(`${head}${connection}transfer-encoding: chunked\r\n\r\n`),
        ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]),
        Buffer.from("0\r\n\r\n"),
      ]);
    }
    case "content-length": {
      const body = Buffer.concat(parts);
      return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]);
    }
    case "close-delimited":
      return Buffer.concat([Buffer.from(`${head}connection: close\r\n\r\n`), ...parts]);
  }
}

/** Sends a whole response; where its end is the connection's end, closes it. */
export function sendFramed(socket: Socket, framing: Framing, events: readonly (string | Buffer)[], head = SSE_HEAD): void {
  const bytes = frame(framing, events, head);
  if (framing === "close-delimited" || framing === "chunked-close") socket.end(bytes);
  else socket.write(bytes);
}

/** A streamed chat completion as its events, in wire form. */
export function chatEvents(words: readonly string[], end: { finish?: string | null; done?: boolean } = {}): string[] {
  const { finish = "stop", done = true } = end;
  const chunk = (delta: object, finish_reason: string | null = null): string =>
    `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  return [
    chunk({ role: "assistant", content: "" }),
    ...words.map((content) => chunk({ content })),
    ...(finish === null ? [] : [chunk({}, finish)]),
    ...(done ? ["data: [DONE]\n\n"] : []),
  ];
}

export function chatAnswer(content: string, finish_reason: string | null = "stop"): string {
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason }],
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  });
}

export function jsonReply(body: string, status = "200 OK", headers = ""): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
