/** The upstream of the fuzz: sends each case exactly as it was made, whoever asks for it. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { Case } from "./case.ts";

export interface FuzzUpstream {
  readonly url: string;
  /** The case that a request with `?case=number` gets. */
  readonly cases: Map<number, Case>;
  close(): void;
}

export async function startFuzzUpstream(): Promise<FuzzUpstream> {
  const cases = new Map<number, Case>();
  const server = createServer(async (request, response) => {
    let asked = "";
    for await (const part of request.setEncoding("utf8")) asked += part;
    const played = cases.get(Number(/[?&]case=(\d+)/.exec(request.url ?? "")?.[1]));
    // Asked for the whole answer, since its streams were empty, it has none.
    if (played === undefined || asked.includes('"stream":false')) {
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"not here","code":"400"}}');
      return;
    }
    // A client that has gone on to the next case is no concern of this one.
    await send(played, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cases, close };
}

async function send({ body, splits, framing, end }: Case, { socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  socket.setNoDelay(true);
  response.setHeader("content-type", "text/event-stream");
  if (framing === "content-length") response.setHeader("content-length", body.length + (end === "clean" ? 0 : 1));
  if (framing === "close") {
    response.setHeader("connection", "close");
    response.removeHeader("transfer-encoding");
  }
  response.flushHeaders();
  let from = 0;
  for (const to of [...splits, body.length]) {
    if (to > from) await new Promise((resolve) => response.write(body.subarray(from, to), resolve));
    from = Math.max(from, to);
    await turn();
  }
  if (end === "clean") response.end();
  else if (end === "cut") socket.end();
  else socket.resetAndDestroy();
}
