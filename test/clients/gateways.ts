/** The ways to the faulty upstream: directly, and through Perennial in each of the settings that clients can tell apart. */
import { createServer as createHttpServer, request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { startPerennial, UNBOUND } from "../support/perennial.ts";

/** `auto` is the default. */
export type InterruptEnd = "auto" | "clean" | "cut";

export interface Gateways {
  readonly direct: string;
  readonly plain: Readonly<Record<InterruptEnd, string>>;
  /** Sends its heartbeat, and with it the 200, before the upstream is given up. */
  readonly heartbeat: Readonly<Record<InterruptEnd, string>>;
  /** Sends its heartbeats between one piece of text and the next. */
  readonly beating: string;
  /** The same with an `id` in each event (`replay`), which is asked for on the way, so that every client gets it. */
  readonly numbered: string;
  /** Nothing listens behind it. */
  readonly down: Readonly<Record<InterruptEnd, string>>;
  /** How many requests of one job the upstream has had. */
  requestsOf(id: string): number;
  close(): Promise<void>;
}

/** How often Perennial asks for one request of a client. */
export const ATTEMPTS = 3;
/** The same where the first token is late. */
export const LATE_ATTEMPTS = 2;

export async function startGateways(): Promise<Gateways> {
  const chaos = createChaosServer({ tokenDelayMs: 1, keepRequests: 100_000 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  const nobody = `http://127.0.0.1:${await unusedPort()}/v1`;
  const running: { close(): Promise<void> }[] = [];

  async function each(upstream: string, own: Record<string, unknown> = {}): Promise<Record<InterruptEnd, string>> {
    const settings = { retry: { backoff: { initial: "1ms", jitter: false }, budget: UNBOUND }, ...own };
    const [auto, clean, cut] = await Promise.all([
      startPerennial(upstream, settings),
      startPerennial(upstream, { ...settings, interruptEnd: "clean" }),
      startPerennial(upstream, { ...settings, interruptEnd: "cut" }),
    ]);
    running.push(auto, clean, cut);
    return { auto: auto.baseUrl, clean: clean.baseUrl, cut: cut.baseUrl };
  }

  async function numbered(upstream: string): Promise<string> {
    const perennial = await startPerennial(upstream, { replay: {}, heartbeat: { after: "20ms", every: "20ms" } });
    const asking = await startAsking(perennial.url);
    running.push(asking, perennial);
    return `${asking.url}/v1`;
  }

  return {
    direct: url,
    plain: await each(url),
    heartbeat: await each(url, { heartbeat: { after: "50ms", every: "50ms" }, timeouts: { firstToken: "150ms" } }),
    beating: (await each(url, { heartbeat: { after: "20ms", every: "20ms" } })).auto,
    numbered: await numbered(url),
    down: await each(nobody),
    requestsOf: (id) => chaos.requests.filter(({ body }) => promptOf(body) === id).length,
    async close() {
      await Promise.all(running.map((one) => one.close()));
      await chaos.close();
    },
  };
}

/** Adds to each request that its answer is to be kept. */
async function startAsking(to: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createHttpServer((incoming, response) => {
    const headers = { ...incoming.headers, "x-perennial-replay": "1" };
    const outgoing = request(to + incoming.url, { method: incoming.method, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.on("error", () => response.destroy());
      reply.pipe(response);
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** LangChain and the AI SDK send the prompt as text or as parts. */
function promptOf(body: unknown): string | undefined {
  const content: unknown = (body as { messages?: { content?: unknown }[] }).messages?.[0]?.content;
  return Array.isArray(content) ? (content[0] as { text?: string }).text : (content as string | undefined);
}

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 9;
}
