/** Stands before an upstream, passes every byte on as it comes, and keeps what the upstream sent, when, and how it ended. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { toClientHost } from "../core/client-host.ts";
import type { Step } from "./case-file.ts";
import { type MaskOptions, maskRequest, maskResponse } from "./mask.ts";
import { parseObject, type Read, secretsOf, toSteps } from "./write-case.ts";

export interface RecorderOptions {
  /** The base URL of the upstream. */
  readonly upstream: string;
  /** Also mask what was asked and answered. */
  readonly maskTexts: boolean;
  onExchange(exchange: Recorded): void;
}

/** One request and what came back, masked. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly model: string | undefined;
  /** The JSON body without its model; undefined where there was none. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  readonly steps: readonly Step[];
  /** The status line; empty when none came. */
  readonly status: string;
}

export interface Recorder {
  /** @returns the base URL for clients. */
  listen(port: number, host: string): Promise<string>;
  /** Ends what is running, as it is by now, and stops listening. */
  close(): Promise<void>;
}

/** Ours, or of one connection alone. A compressed answer could not be masked. */
const NOT_PASSED_ON = new Set([
  "host",
  "connection",
  "keep-alive",
  "content-length",
  "transfer-encoding",
  "accept-encoding",
  "expect",
]);

/** How long a whole answer may be followed by more, or by its end, in milliseconds: some upstreams keep their connection all the same. */
const KEPT_OPEN_MS = 500;
const BEFORE_RESET_MS = 10;

export function createRecorder({ upstream, maskTexts, onExchange }: RecorderOptions): Recorder {
  const base = new URL(upstream);
  const sockets = new Set<Socket>();
  const running = new Set<Promise<void>>();
  const server = createServer((request) => {
    const done = record(request).catch(() => void request.socket.destroy());
    running.add(done);
    void done.finally(() => running.delete(done));
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });

  async function record(request: IncomingMessage): Promise<void> {
    const client = request.socket;
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts);
    const startedAt = performance.now();
    const { reads, end } = await exchangeBytes(
      client,
      Buffer.concat([Buffer.from(headFor(request, body.length, base), "latin1"), body]),
    );
    const mask: MaskOptions = { secrets: secretsOf(request.headers), texts: maskTexts };
    const bytes = maskResponse(Buffer.concat(reads.map((read) => read.bytes)), mask);
    const json = parseObject(body);
    const { model, ...rest } = json ?? {};
    onExchange({
      method: request.method ?? "GET",
      path: (request.url ?? "/").split("?", 1)[0] ?? "/",
      model: typeof model === "string" ? model : undefined,
      body: json === undefined ? undefined : (maskRequest(rest, mask) as Record<string, unknown>),
      steps: toSteps(reads, bytes, startedAt, end),
      status: /^HTTP\/\S+ [^\r\n]*/.exec(bytes.toString("latin1"))?.[0] ?? "",
    });
  }

  /** Resolves when either side has ended. */
  function exchangeBytes(client: Socket, request: Buffer): Promise<{ reads: Read[]; end: Step["end"] | undefined }> {
    const port = Number(base.port) || (base.protocol === "https:" ? 443 : 80);
    const host = base.hostname.replace(/^\[|\]$/g, "");
    const socket =
      base.protocol === "https:"
        ? connectTls({ host, port, servername: host, ALPNProtocols: ["http/1.1"] })
        : connect({ host, port });
    const reads: Read[] = [];
    return new Promise((resolve) => {
      let end: Step["end"];
      let over: NodeJS.Timeout | undefined;
      const isComplete = createCompleteness();
      const leave = (): void => {
        client.end();
        socket.destroy();
      };
      socket.write(request);
      socket.on("data", (bytes: Buffer) => {
        reads.push({ at: performance.now(), bytes });
        clearTimeout(over);
        if (isComplete(bytes)) over = setTimeout(leave, KEPT_OPEN_MS);
        if (!client.write(bytes)) {
          socket.pause();
          client.once("drain", () => socket.resume());
        }
      });
      socket.once("end", () => {
        end = "fin";
        client.end();
      });
      socket.once("error", () => {
        end = "rst";
        // A reset takes along what its reader has not read yet.
        client.write("", () => setTimeout(() => client.resetAndDestroy(), BEFORE_RESET_MS));
      });
      // An upstream that says nothing more, to a client that has had enough: it stays open in the capture, too.
      client.once("close", () => socket.destroy());
      socket.once("close", () => {
        clearTimeout(over);
        resolve({ reads, end });
      });
    });
  }

  return {
    async listen(port, host) {
      server.listen(port, host);
      await once(server, "listening");
      const { port: used } = server.address() as AddressInfo;
      return `http://${toClientHost(host)}:${used}${base.pathname.replace(/\/$/, "")}`;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(running);
    },
  };
}

/** Whether an answer is complete by its framing, read by read; one that ends with its connection never is. */
function createCompleteness(): (read: Buffer) => boolean {
  let head = "";
  let body = -1;
  let tail = "";
  return (read) => {
    const text = read.toString("latin1");
    if (body === -1) {
      head += text;
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return false;
      body = head.length - end - 4;
      tail = head.slice(end + 2);
      head = head.slice(0, end);
    } else {
      body += text.length;
      tail += text;
    }
    tail = tail.slice(-7);
    if (/^transfer-encoding:.*chunked/im.test(head)) return tail === "\r\n0\r\n\r\n";
    const [, length] = /^content-length: *(\d+)/im.exec(head) ?? [];
    return length !== undefined && body >= Number(length);
  };
}

/** Asked to close, the upstream says by the end of its connection that its answer is over. */
function headFor({ method, url, rawHeaders }: IncomingMessage, length: number, base: URL): string {
  const lines = [`${method} ${url} HTTP/1.1`, `host: ${base.host}`, "connection: close"];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (!NOT_PASSED_ON.has(String(rawHeaders[at]).toLowerCase())) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  if (length > 0 || method === "POST") lines.push(`content-length: ${length}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
