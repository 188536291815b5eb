/** Requests that never become one: what is not HTTP, what comes too slowly, and what asks for another protocol. */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Failure } from "../core/failure.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";

/** How long the client may take to read why it is refused, in milliseconds; then its connection is gone. */
const LINGER_MS = 1_000;

const REASONS = {
  400: ["Bad Request", "The request is not valid HTTP."],
  405: ["Method Not Allowed", "This is not a proxy for CONNECT."],
  408: ["Request Timeout", "The request did not arrive in time (timeouts.request)."],
  417: ["Expectation Failed", "Only `Expect: 100-continue` can be met."],
  431: ["Request Header Fields Too Large", "The request's headers are too large."],
} as const;

type BrokenStatus = keyof typeof REASONS;

export interface BrokenRequestHandler {
  /** A response is on its way: from now on other bytes on its socket could only be read as a part of it. */
  watch(socket: Socket, response: ServerResponse): void;
  /** What cannot even be parsed gets a plain answer, and its connection is closed: the next bytes could mean anything. */
  answer(error: Error & { code?: string }, socket: Socket): void;
}

export function createBrokenRequestHandler(): BrokenRequestHandler {
  // Several, where requests are pipelined: only the first of them is being written.
  const answering = new WeakMap<Socket, Set<ServerResponse>>();
  return {
    watch(socket, response) {
      const responses = answering.get(socket) ?? new Set();
      answering.set(socket, responses.add(response));
      response.once("close", () => responses.delete(response));
    },
    answer(error, socket) {
      const responses = [...(answering.get(socket) ?? [])];
      const inMidResponse = responses.some((response) => response.headersSent && !response.writableFinished);
      if (error.code === "ECONNRESET" || !socket.writable || inMidResponse) socket.destroy();
      else if (error.code === "HPE_HEADER_OVERFLOW") refuse(socket, 431);
      else refuse(socket, error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400, corsLines(responses));
    },
  };
}

/** CONNECT has no path to route, and an unknown expectation no request: without this both end without a word. */
export function refuseOtherProtocols(server: Server): void {
  server.on("connect", (_request, socket) => refuse(socket, 405));
  server.on("checkExpectation", (_request, response: ServerResponse) => {
    response.writeHead(417, { "content-type": "application/json; charset=utf-8", connection: "close" }).end(bodyOf(417));
  });
}

/** What the response that is not to be would have said to the browser of its page, see setCorsHeaders. */
function corsLines([response]: readonly ServerResponse[]): string {
  const names = response?.getHeaderNames().filter((name) => name.startsWith("access-control-")) ?? [];
  return names.map((name) => `${name}: ${response?.getHeader(name)}\r\n`).join("");
}

function refuse(socket: Duplex, status: BrokenStatus, more = ""): void {
  const body = bodyOf(status);
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status][0]}\r\ncontent-type: application/json; charset=utf-8\r\n${more}` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    "latin1",
  );
  // A client that sends slowly may also close slowly, or never. Not at once: what is unread would reset the connection, and the answer with it.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.resume();
}

function bodyOf(status: BrokenStatus): string {
  const [, reason] = REASONS[status];
  return JSON.stringify(openAiErrorBody(new Failure("invalid_request", reason, { status }), reason));
}
