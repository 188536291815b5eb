/** The hostile upstream, in a process of its own: started by the soak, asked over IPC for its address and its open connections. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readHoldings } from "../holdings.ts";
import { answerParent } from "../messages.ts";
import { BEHAVIOURS } from "./behaviours.ts";

export type UpstreamQuestion = "url" | "connections";

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let model = "";
  // Large uploads are not kept: their model stands at the beginning.
  for await (const part of request.setEncoding("utf8")) if (model.length < 10_000) model += part;
  const behaviour = BEHAVIOURS[/"model":"([^"]*)"/.exec(model)?.[1] ?? ""];
  if (behaviour === undefined) {
    response.writeHead(404, { "content-type": "application/json" }).end('{"error":{"message":"no such model","code":"404"}}');
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  await behaviour(response);
}

const server = createServer((request, response) => {
  response.on("error", () => {});
  // A client that leaves in its upload is what they are here for.
  serve(request, response).catch(() => response.destroy());
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;

answerParent(async (question: UpstreamQuestion) => (question === "url" ? url : (await readHoldings()).sockets));
process.on("disconnect", () => process.exit());
