/** A client that sends exactly these bytes, and keeps all that comes back. */
import { connect } from "node:net";

export interface RawAnswer {
  readonly text: string;
  /** Of the first response; 0 when there was none. */
  readonly status: number;
  /** Perennial closed the connection; otherwise it fell silent, for 300 ms or as long as was asked. */
  readonly closed: boolean;
}

/** @param parts sent one after the other, 20 ms apart. */
export function sendRaw(url: string, parts: string | Buffer | readonly (string | Buffer)[], silenceMs = 300): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let text = "";
    let closed = true;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.setTimeout(silenceMs, () => {
      closed = false;
      socket.destroy();
    });
    socket.on("close", () => resolve({ text, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), closed }));
    socket.on("error", () => {});
    const [first = "", ...rest] = Array.isArray(parts) ? (parts as readonly (string | Buffer)[]) : [parts as string | Buffer];
    socket.write(first);
    rest.forEach((part, index) => {
      setTimeout(() => socket.writable && socket.write(part), 20 * (index + 1));
    });
  });
}
