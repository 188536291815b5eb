/** A client's response that takes every byte at once and keeps none: what is measured ends where Node's own HTTP begins. */
import { EventEmitter } from "node:events";

export class NullResponse extends EventEmitter {
  readonly req = { httpVersionMinor: 1, httpVersion: "1.1", method: "POST", headers: {}, socket: null };
  readonly socket = null;
  readonly destroyed = false;
  readonly closed = false;
  readonly writableNeedDrain = false;
  readonly writableLength = 0;
  headersSent = false;
  statusCode = 200;
  writableEnded = false;
  writableFinished = false;
  bytes = 0;

  writeHead(status: number): this {
    this.statusCode = status;
    this.headersSent = true;
    return this;
  }

  setHeader(): this {
    return this;
  }

  flushHeaders(): void {}

  cork(): void {}

  uncork(): void {}

  setTimeout(): this {
    return this;
  }

  write(data: string | Uint8Array): boolean {
    this.bytes += typeof data === "string" ? Buffer.byteLength(data) : data.length;
    return true;
  }

  end(data?: string | Uint8Array): this {
    if (data !== undefined) this.write(data);
    this.writableEnded = true;
    this.writableFinished = true;
    this.emit("finish");
    this.emit("close");
    return this;
  }

  destroy(): this {
    this.emit("close");
    return this;
  }
}
