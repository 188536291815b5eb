/**
 * The upstream of the benchmark: streams as the prompt asks for them. Prints its port; the message "finish" ends the streams that are held.
 *   node bench/load/upstream-process.ts PROCESSES PORT
 */
import cluster from "node:cluster";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Ask, EVENTS_PER_WRITE, readAsk } from "./ask.ts";
import { nowUs, writeMark } from "./marks.ts";
import { Pacer } from "./pacer.ts";

const [processes = 1, wantedPort = 0] = process.argv.slice(2).map(Number);
/** What stands around a content's text, as api.openai.com words it. */
const [HEAD = "", TAIL = ""] = chunk({ content: "#" }, null).split("#");
const FIRST = chunk({ role: "assistant", content: "", refusal: null }, null);
const LAST = `${chunk({}, "stop")}data: [DONE]\n\n`;
const ANSWERED = { "content-type": "text/event-stream; charset=utf-8" };

const held = new Set<ServerResponse>();
const pacer = new Pacer();

function chunk(delta: object, finish: string | null): string {
  const json = {
    id: "chatcmpl-CfQ0b1x2y3z4a5b6c7d8e9f0",
    object: "chat.completion.chunk",
    created: 1_764_100_000,
    model: "bench",
    system_fingerprint: "fp_560af6e559",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  };
  return `data: ${JSON.stringify(json)}\n\n`;
}

function event(number: number): string {
  return HEAD + writeMark(number, nowUs()) + TAIL;
}

function answer(response: ServerResponse, ask: Ask): void {
  const { events, everyMs, fault } = ask;
  if (fault === "500") {
    response.writeHead(500, { "content-type": "application/json" }).end('{"error":{"message":"broken on purpose"}}');
    return;
  }
  response.writeHead(200, ANSWERED);
  if (fault === "empty") {
    response.end();
    return;
  }
  response.write(FIRST + event(0), "latin1");
  let next = 1;
  const isOver = (): boolean => {
    if (response.destroyed) return true;
    if (fault === "cut" && next > events / 2) {
      response.destroy();
      return true;
    }
    if (next < events) return false;
    if (!ask.isHeld) response.end(LAST);
    else {
      held.add(response);
      response.on("close", () => held.delete(response));
    }
    return true;
  };
  if (everyMs > 0) {
    if (!isOver())
      pacer.add(everyMs, () => {
        response.write(event(next++), "latin1");
        return isOver();
      });
    return;
  }
  const { socket } = response;
  /** Each event is a chunk of its own, as servers write them; what the system would put together is put together here. */
  const pour = (): void => {
    let isTaken = true;
    while (isTaken && !isOver()) {
      socket?.cork();
      for (let i = 0; i < EVENTS_PER_WRITE && next < events; i++) isTaken = response.write(event(next++), "latin1");
      socket?.uncork();
    }
    if (!isTaken) response.once("drain", pour);
  };
  pour();
}

function listen(): void {
  const server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on("data", (part: Buffer) => body.push(part));
    request.on("end", () => {
      const ask = readAsk(Buffer.concat(body).toString("latin1"));
      // Gateways look whether anybody is there.
      if (ask === undefined) response.writeHead(200, { "content-type": "application/json" }).end('{"object":"list","data":[]}');
      else answer(response, ask);
    });
    response.on("error", () => {});
  });
  server.keepAliveTimeout = 120_000;
  server.listen({ port: wantedPort, host: "127.0.0.1", backlog: 8_192 }, () => {
    const { port } = server.address() as AddressInfo;
    if (cluster.isPrimary) process.stdout.write(`${port}\n`);
  });
  process.on("message", (message) => {
    if (message !== "finish") return;
    for (const response of held) response.end(LAST);
  });
}

if (processes > 1 && cluster.isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  let listening = 0;
  cluster.on("listening", (_worker, { port }) => {
    if (++listening === processes) process.stdout.write(`${port}\n`);
  });
  for (let i = 0; i < processes; i++) cluster.fork();
  process.on("message", (message) => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.send(message as string);
  });
} else {
  listen();
}
// Nobody is left to load it.
process.on("disconnect", () => process.exit());
