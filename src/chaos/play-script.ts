/** Performs a script on a real connection, at its pace, within the client's backpressure, in the framing asked for. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import type { Framing } from "./framing.ts";
import type { Head, Send, Step } from "./script.ts";

export interface Stage {
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** @defaultValue as each head says: event streams are chunked, other bodies have a content-length */
  readonly framing: Framing | undefined;
  readonly tokenDelayMs: number;
  readonly stallMs: number;
  /** Headers for every reply. */
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal;
  /** Called before the server itself breaks the connection, so that the client is not blamed. */
  onBreak(): void;
}

/** What a body that is cut short had promised beyond the bytes it sent, where the framing promises a length. */
const MISSING_BYTES = 512;

/** A reset discards what has not been sent; this lets the bytes before it arrive. */
const BEFORE_RESET_MS = 10;

/** @param script is called again to learn a body's length; it must yield the same steps each time */
export async function playScript(script: () => Iterable<Step>, stage: Stage): Promise<void> {
  const { response, socket, signal } = stage;
  let sends = 0;
  for (const step of script()) {
    switch (step.do) {
      case "head":
        writeHead(step, script, stage);
        break;
      case "raw":
        socket.write(step.bytes);
        break;
      case "wait":
        await delay(step.ms, undefined, { signal });
        break;
      case "send":
        if (step.pause === "turn") await turn(undefined, { signal });
        else if (step.pause === "token") {
          // Between events, so not before the first.
          if (stage.tokenDelayMs > 0 && sends > 0) await delay(stage.tokenDelayMs, undefined, { signal });
        } else if (step.pause > 0) await delay(step.pause, undefined, { signal });
        sends++;
        if (!sendBytes(step, stage)) await drained(stage);
        break;
      case "fin":
        stage.onBreak();
        socket.destroySoon();
        return;
      case "reset":
        await flushed(socket);
        await delay(BEFORE_RESET_MS, undefined, { signal });
        stage.onBreak();
        socket.resetAndDestroy();
        return;
      case "hang":
        await delay(stage.stallMs, undefined, { signal });
        stage.onBreak();
        socket.destroy();
        return;
    }
    if (signal.aborted) return;
  }
  response.end();
}

function writeHead(head: Head, script: () => Iterable<Step>, stage: Stage): void {
  const { response } = stage;
  const headers: Record<string, string> = { ...stage.headers, ...head.headers };
  switch (head.forcedFraming ?? stage.framing ?? head.usualFraming) {
    case "content-length":
      headers["content-length"] = String(promisedLength(script()));
      break;
    case "close-delimited":
      response.useChunkedEncodingByDefault = false;
      headers.connection = "close";
      break;
    case "chunked-close":
      headers.connection = "close";
      break;
    case "chunked":
      break;
  }
  response.writeHead(head.status, headers);
  // Otherwise Node keeps the head until the first byte of the body, which a stalled stream never sends.
  response.flushHeaders();
}

function promisedLength(script: Iterable<Step>): number {
  let length = 0;
  for (const step of script) {
    if (step.do === "send") length += Buffer.byteLength(step.bytes);
    else if (step.do === "fin" || step.do === "reset" || step.do === "hang") length += MISSING_BYTES;
  }
  return length;
}

/** @returns whether the socket takes more */
function sendBytes(step: Send, { response, socket }: Stage): boolean {
  if (step.promised === undefined || !response.chunkedEncoding) return response.write(step.bytes);
  socket.write(`${step.promised.toString(16)}\r\n`);
  return socket.write(step.bytes);
}

/** Rejects when the client leaves instead of reading. */
function drained({ response, socket, signal }: Stage): Promise<void> {
  if (!response.writableNeedDrain && !socket.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onDrain = () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const onAbort = () => {
      socket.removeListener("drain", onDrain);
      reject(signal.reason);
    };
    socket.once("drain", onDrain);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function flushed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.write("", () => resolve()));
}
