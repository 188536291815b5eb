/**
 * A reply as a script: the steps a fault yields and `playScript` performs. Pure data, so that faults are built by
 * composing scripts, and the length of a body can be known before it is sent.
 */

import type { Framing } from "./framing.ts";

/** Time before a step: the server's own token delay, one turn of the event loop (a packet of its own), or milliseconds. */
export type Pause = "token" | "turn" | number;

export interface Head {
  readonly do: "head";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** @defaultValue what the server was told, else this */
  readonly usualFraming: Framing;
  /** The fault needs this one, whatever the server was told. */
  readonly forcedFraming?: Framing;
}

export interface Send {
  readonly do: "send";
  readonly bytes: string | Buffer;
  readonly pause: Pause;
  /** The chunk header promises this many bytes, of which `bytes` are only the beginning: a cut in mid chunk. */
  readonly promised?: number;
}

export type Step =
  | Head
  | Send
  /** Bytes that are no part of an HTTP body, written to the socket as they are. */
  | { readonly do: "raw"; readonly bytes: string }
  | { readonly do: "wait"; readonly ms: number }
  /** The last step. A script without one ends its body cleanly. */
  | { readonly do: "fin" | "reset" | "hang" };

/** The connection is closed; a body that is not over is cut. */
export const fin: Step = { do: "fin" };
/** The connection is reset (TCP RST). */
export const reset: Step = { do: "reset" };
/** Nothing more, and the connection stays open until the client leaves. */
export const hang: Step = { do: "hang" };

export function wait(ms: number): Step {
  return { do: "wait", ms };
}

export function raw(bytes: string): Step {
  return { do: "raw", bytes };
}

/** The head of a 200 event stream. `x-accel-buffering` is what servers behind nginx send. */
export function streamHead(options: { headers?: Record<string, string>; framing?: Framing } = {}): Head {
  return {
    do: "head",
    status: 200,
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      ...options.headers,
    },
    usualFraming: "chunked",
    ...(options.framing ? { forcedFraming: options.framing } : {}),
  };
}

/** Body bytes as they are. */
export function send(bytes: string | Buffer, pause: Pause = "token"): Send {
  return { do: "send", bytes, pause };
}

/** One server-sent event; an object becomes JSON. */
export function event(data: unknown, name?: string): Send {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return send(`${name === undefined ? "" : `event: ${name}\n`}data: ${text}\n\n`);
}

export const done: Send = event("[DONE]");

export function comment(text: string, pause: Pause = "token"): Send {
  return send(`: ${text}\n\n`, pause);
}

/** A whole reply with a body of known length. */
export function* reply(status: number, contentType: string, body: string | Buffer, headers: Record<string, string> = {}) {
  yield replyHead(status, contentType, headers);
  yield send(body, 0);
}

export function replyHead(status: number, contentType: string, headers: Record<string, string> = {}): Head {
  return { do: "head", status, headers: { "content-type": contentType, ...headers }, usualFraming: "content-length" };
}

export function jsonReply(status: number, body: unknown, headers: Record<string, string> = {}): Iterable<Step> {
  return reply(status, "application/json", JSON.stringify(body), headers);
}

/** The same script with every body step replaced. */
export function* mapSends(script: Iterable<Step>, replace: (step: Send) => Iterable<Step>): Iterable<Step> {
  for (const step of script) {
    if (step.do === "send") yield* replace(step);
    else yield step;
  }
}

/** The same script, but its body stops after exactly `limit` bytes, and `last` follows. */
export function* limitBody(script: Iterable<Step>, limit: number, last: Step): Iterable<Step> {
  let left = limit;
  for (const step of script) {
    if (step.do === "send") {
      const part = toBuffer(step.bytes).subarray(0, left);
      left -= part.length;
      if (part.length > 0) yield { ...step, bytes: part };
      if (left === 0) break;
    } else if (step.do === "head" || step.do === "wait") yield step;
  }
  yield last;
}

export function toBuffer(bytes: string | Buffer): Buffer {
  return typeof bytes === "string" ? Buffer.from(bytes) : bytes;
}

/** The body's bytes, all at once. */
export function bodyOf(script: Iterable<Step>): Buffer {
  const parts: Buffer[] = [];
  for (const step of script) if (step.do === "send") parts.push(toBuffer(step.bytes));
  return Buffer.concat(parts);
}
