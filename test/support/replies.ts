/** Ways to answer a request, beside bytes as they are and events in chunks. */
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { jsonReply, SSE_HEAD, sendFramed } from "./raw-upstream.ts";
import type { Answer } from "./test.ts";

/** The head of a stream that ends with its connection. */
export const STREAM_HEAD = `${SSE_HEAD}connection: close\r\n\r\n`;

/** Begins a stream that ends with its connection. */
export const begin = (socket: Socket): boolean => socket.write(STREAM_HEAD);

/** Sends events and then nothing more, on a connection that stays open. */
export const open =
  (...events: string[]): Answer =>
  (socket) =>
    socket.write(STREAM_HEAD + events.join(""));

/** A whole stream whose events arrive in one read. */
export const atOnce =
  (events: readonly (string | Buffer)[]): Answer =>
  (socket) =>
    sendFramed(socket, "content-length", events);

/** Answers after a time. */
export const late =
  (ms: number, reply: string | Answer): Answer =>
  async (socket, request) => {
    await pause(ms);
    if (typeof reply === "string") socket.write(reply);
    else reply(socket, request);
  };

/** A stream with a pause behind each event. */
export const slowly =
  (events: readonly string[], ms: number): Answer =>
  async (socket) => {
    begin(socket);
    for (const event of events) {
      socket.write(event);
      await pause(ms);
    }
    socket.end();
  };

/** What an upstream says that cannot answer now. */
export const BUSY = jsonReply("{}", "503 Busy");
