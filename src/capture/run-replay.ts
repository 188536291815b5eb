/** `perennial replay`: an upstream that sends what was captured, byte for byte and at its pace. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { toClientHost } from "../core/client-host.ts";
import { type Asking, type ByAsking, type Response, stepsFor } from "./case-file.ts";
import { doSteps } from "./do-steps.ts";

export interface ReplayOptions {
  readonly file: string;
  readonly port: number;
  readonly host: string;
}

export interface Replay {
  /** Without a path. */
  readonly url: string;
  close(): Promise<void>;
}

/** The file is no case; the message says what is wrong with it. */
export class CaseError extends Error {
  override readonly name = "CaseError";
}

/** @throws CaseError, and when the address cannot be listened on. */
export async function runReplay({ file, port, host }: ReplayOptions, out: (line: string) => void): Promise<Replay> {
  const { title, path, responses } = readCase(file);
  const sockets = new Set<Socket>();
  let count = 0;
  let firstAt: number | undefined;
  const server = createServer(async (request) => {
    const asked = await readAsking(request).catch(() => undefined);
    if (asked === undefined) return;
    firstAt ??= performance.now();
    count++;
    await doSteps(request.socket, stepsFor(responses, asked, { count, sinceFirstMs: performance.now() - firstAt }));
  });
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, "listening");
  const url = `http://${toClientHost(host)}:${(server.address() as AddressInfo).port}`;
  out(`Replaying ${file}${title === undefined ? "" : ` (${title})`} whatever is asked; listening on ${url}`);
  out(`  perennial --upstream ${url}${/^.*\/v1(?=\/)/.exec(path)?.[0] ?? ""}`);
  return {
    url,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

interface ReadCase {
  readonly title: string | undefined;
  readonly path: string;
  readonly responses: readonly Response[] | ByAsking;
}

function readCase(file: string): ReadCase {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    throw new CaseError(`${file}: ${(error as Error).message}`);
  }
  const responses = json?.responses as ReadCase["responses"] | undefined;
  const isList = Array.isArray(responses) && responses.length > 0;
  if (!isList && !(typeof responses === "object" && responses !== null && "whole" in responses)) {
    throw new CaseError(`${file}: expected a case with "responses", as perennial record writes it`);
  }
  const [first] = (json.asks ?? []) as { path?: string }[];
  return {
    title: typeof json.title === "string" ? json.title : undefined,
    path: first?.path ?? "/v1/chat/completions",
    responses,
  };
}

async function readAsking(request: IncomingMessage): Promise<Asking> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  try {
    return (JSON.parse(Buffer.concat(parts).toString()) ?? {}) as Asking;
  } catch {
    return {};
  }
}
