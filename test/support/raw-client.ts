/** A client that sends exactly these bytes, and keeps all that comes back. */
import { connect } from "node:net";
import { afterTurns } from "./turns.ts";

export interface RawAnswer {
  readonly text: string;
  /** Of the first response; 0 when there was none. */
  readonly status: number;
  /** Perennial closed the connection; otherwise it fell silent, for 300 ms or as long as was asked. */
  readonly closed: boolean;
}

/** Bytes, or bytes that are sent only when a text has come back. */
type Part = string | Buffer | { readonly after: string; readonly bytes: string };

/** @param parts sent one after the other, 20 ms apart, or when what they wait for has come. */
export function sendRaw(url: string, parts: string | Buffer | readonly Part[], silenceMs = 300): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let text = "";
    let closed = true;
    socket.setNoDelay(true);
    const silence = afterTurns(silenceMs, () => {
      closed = false;
      socket.destroy();
    });
    socket.on("data", (chunk) => {
      silence.restart();
      text += chunk.toString("latin1");
      if (awaited !== undefined && text.includes(awaited)) next();
    });
    socket.on("close", () => {
      silence.stop();
      resolve({ text, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), closed });
    });
    socket.on("error", () => {});
    const left: Part[] = typeof parts === "string" || Buffer.isBuffer(parts) ? [parts] : [...(parts as readonly Part[])];
    let awaited: string | undefined;
    function next(): void {
      const part = left[0];
      if (part === undefined || !socket.writable) return;
      if (isWaiting(part) && !text.includes(part.after)) {
        awaited = part.after;
        return;
      }
      awaited = undefined;
      left.shift();
      silence.restart();
      socket.write(isWaiting(part) ? part.bytes : part);
      setTimeout(next, 20);
    }
    next();
  });
}

const isWaiting = (part: Part): part is { readonly after: string; readonly bytes: string } =>
  typeof part !== "string" && !Buffer.isBuffer(part);
