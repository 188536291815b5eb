/** An upstream for the benchmark: every stream gets the same number of events at the same pace. Prints its port. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const PER_SECOND = Number(process.argv[2] ?? 50);
const EVENTS = Number(process.argv[3] ?? 300);

const chunk = (delta: object, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "bench", system_fingerprint: "fp_1", choices: [{ index: 0, delta, logprobs: null, finish_reason }] })}\n\n`;
const WORD = chunk({ content: " token" });
const LAST = `${chunk({}, "stop")}data: [DONE]\n\n`;

const streams = new Map<ServerResponse, number>();
// One timer for all streams: the upstream must not be what is measured.
setInterval(() => {
  for (const [response, sent] of streams) {
    if (sent >= EVENTS) {
      streams.delete(response);
      response.end(LAST);
    } else {
      streams.set(response, sent + 1);
      response.write(WORD);
    }
  }
}, 1_000 / PER_SECOND);

const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": "text/event-stream" });
  streams.set(response, 0);
  response.on("close", () => streams.delete(response));
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
