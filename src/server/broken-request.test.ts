/** What is answered to what is no request, byte for byte, and when its connection is gone. */
import { EventEmitter } from "node:events";
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBrokenRequestHandler, refuseOtherProtocols } from "./broken-request.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function connection({ writable = true } = {}) {
  const seen: string[] = [];
  const socket = Object.assign(new EventEmitter(), {
    writable,
    end: (text: string, encoding: string) => void seen.push(text, encoding),
    destroy: () => void seen.push("destroyed"),
    resume: () => void seen.push("resumed"),
  });
  return { socket: socket as unknown as Socket, seen };
}

const response = (state: { headersSent?: boolean; writableFinished?: boolean; headers?: Record<string, string> } = {}) => {
  const { headersSent = false, writableFinished = false, headers = {} } = state;
  const made = Object.assign(new EventEmitter(), {
    headersSent,
    writableFinished,
    getHeaderNames: () => Object.keys(headers),
    getHeader: (name: string) => headers[name],
  });
  return made as unknown as ServerResponse;
};

function answerOf(status: string, message: string, more = ""): string {
  const error = { message, type: "invalid_request_error", param: null, code: "invalid_request" };
  const body = JSON.stringify({ error, code: Number(status.slice(0, 3)), msg: message });
  const length = Buffer.byteLength(body);
  const type = "content-type: application/json; charset=utf-8\r\n";
  return `HTTP/1.1 ${status}\r\n${type}${more}content-length: ${length}\r\nconnection: close\r\n\r\n${body}`;
}

const broken = (code?: string): Error => Object.assign(new Error("broken"), { code });
const LATE = answerOf("408 Request Timeout", "The request did not arrive in time (timeouts.request).");
const NO_HTTP = answerOf("400 Bad Request", "The request is not valid HTTP.");

test.each([
  ["HPE_INVALID_METHOD", NO_HTTP],
  [undefined, NO_HTTP],
  ["ERR_HTTP_REQUEST_TIMEOUT", LATE],
  ["HPE_HEADER_OVERFLOW", answerOf("431 Request Header Fields Too Large", "The request's headers are too large.")],
])("%s is answered, read on, and gone a second later", (code, text) => {
  const { socket, seen } = connection();
  createBrokenRequestHandler().answer(broken(code), socket);
  expect(seen).toEqual([text, "latin1", "resumed"]);
  expect(() => socket.emit("error", new Error("reset"))).not.toThrow();
  vi.advanceTimersByTime(999);
  expect(seen).toHaveLength(3);
  vi.advanceTimersByTime(1);
  expect(seen[3]).toBe("destroyed");
});

test("nothing is said to a client that has gone, nor into an answer that is on its way", () => {
  const handler = createBrokenRequestHandler();
  const [reset, deaf, inAnswer] = [connection(), connection({ writable: false }), connection()];
  handler.watch(inAnswer.socket, response());
  handler.watch(inAnswer.socket, response({ headersSent: true }));
  handler.answer(broken("ECONNRESET"), reset.socket);
  handler.answer(broken(), deaf.socket);
  handler.answer(broken(), inAnswer.socket);
  expect([reset.seen, deaf.seen, inAnswer.seen]).toEqual([["destroyed"], ["destroyed"], ["destroyed"]]);
});

test("behind an answer that is whole, or before one that has not begun, it is said, also to the browser of a page", () => {
  const handler = createBrokenRequestHandler();
  const whole = connection();
  handler.watch(whole.socket, response({ headersSent: true, writableFinished: true }));
  handler.answer(broken(), whole.socket);
  const gone = connection();
  const closed = response({ headersSent: true });
  handler.watch(gone.socket, closed);
  closed.emit("close");
  handler.answer(broken(), gone.socket);
  expect([whole.seen[0], gone.seen[0]]).toEqual([NO_HTTP, NO_HTTP]);
  const page = connection();
  handler.watch(page.socket, response({ headers: { "x-perennial-id": "7", "access-control-allow-origin": "http://a" } }));
  handler.answer(broken("ERR_HTTP_REQUEST_TIMEOUT"), page.socket);
  const cors = "access-control-allow-origin: http://a\r\n";
  expect(page.seen[0]).toBe(answerOf("408 Request Timeout", "The request did not arrive in time (timeouts.request).", cors));
});

test("other protocols are refused in words", () => {
  const server = new EventEmitter();
  refuseOtherProtocols(server as unknown as Server);
  const { socket, seen } = connection();
  server.emit("connect", {}, socket);
  expect(seen[0]).toBe(answerOf("405 Method Not Allowed", "This is not a proxy for CONNECT."));
  const said: unknown[] = [];
  const refused = {
    writeHead(...head: unknown[]) {
      said.push(...head);
      return refused;
    },
    end: (body: string) => void said.push(body),
  };
  server.emit("checkExpectation", {}, refused);
  const [, body] = answerOf("417", "Only `Expect: 100-continue` can be met.").split("\r\n\r\n");
  expect(said).toEqual([417, { "content-type": "application/json; charset=utf-8", connection: "close" }, body]);
});
