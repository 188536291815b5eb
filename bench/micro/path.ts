/**
 * The path of an event and of a request through Perennial's own parts, without sockets. The only file of the micro-benchmark that
 * knows src/: when a part moves, this file follows it, and the figures before and after stay comparable.
 */
import type { ServerResponse } from "node:http";
import { createUpstreamShared } from "../../src/balance/candidate.ts";
import { Hedging } from "../../src/balance/hedging.ts";
import { RetryBudget } from "../../src/balance/retry-budget.ts";
import { StickyUpstreams } from "../../src/balance/sticky-upstreams.ts";
import { applyProfile } from "../../src/config/profiles.ts";
import { servesOf } from "../../src/config/routes.ts";
import { configSchema } from "../../src/config/schema.ts";
import { servedUpstreams } from "../../src/config/served-upstreams.ts";
import { resolvePolicy } from "../../src/config/upstream-policy.ts";
import { HeldMemory } from "../../src/core/held-memory.ts";
import { OPENAI_ROUTES } from "../../src/dialect/registry.ts";
import { relay } from "../../src/relay/relay.ts";
import type { RelaySettings } from "../../src/relay/relay-settings.ts";
import type { RelayContext } from "../../src/relay/start-run.ts";
import { KeptStreams } from "../../src/run/kept-streams.ts";
import { createExchange } from "../../src/server/exchange-factory.ts";
import { readRequestPath } from "../../src/server/request-path.ts";
import type { ResponseSink } from "../../src/upstream/upstream.ts";
import { NullResponse } from "./null-response.ts";

/** One exchange in memory, its upstream played by the caller. */
export interface OpenStream {
  /** What one read of the upstream's socket brings. */
  read(chunk: Buffer): void;
  /** The upstream's body ends. Resolves when the exchange is over. @returns how it ended, and the bytes its client got. */
  end(): Promise<{ readonly outcome: string; readonly bytes: number }>;
}

const ROUTES = new Map(OPENAI_ROUTES.map(({ path, dialect }) => [path, dialect]));
const config = configSchema.parse(applyProfile({ upstreams: [{ baseUrl: "http://127.0.0.1:1/v1" }] }));

/** From a client's request target, headers and body to an exchange: parsed, checked, its dialect found. */
export function routeRequest(url: string, headers: Record<string, string>, body: Buffer): ReturnType<typeof createExchange> {
  const { path, plain, query } = readRequestPath(url, { mount: "/v1" });
  const dialect = ROUTES.get(plain);
  const target = (dialect === undefined ? path : plain) + query;
  return createExchange({
    id: "micro",
    arrivedAt: performance.now(),
    dialect,
    request: { method: "POST", path: target, headers, body },
  });
}

/** Routes the request and lets the relay run it, up to the upstream's head. */
export async function openStream(url: string, headers: Record<string, string>, body: Buffer): Promise<OpenStream> {
  const response = new NullResponse();
  let outcome = "";
  let upstream: ResponseSink | undefined;
  const [served] = servedUpstreams(config);
  const settings: RelaySettings = {
    offers: [
      {
        upstream: {
          name: "micro",
          hasOwnKey: false,
          getsClientKey: true,
          withKey: () => {
            throw new Error("there is no other key");
          },
          addressOf: (path) => `http://127.0.0.1:1${path}`,
          send(_request, sink) {
            upstream = sink;
            return { pause() {}, resume() {}, abort() {}, release() {} };
          },
          async close() {},
        },
        policy: resolvePolicy(config, served),
        shared: createUpstreamShared(undefined),
        share: { priority: 0, weight: 1 },
        serves: servesOf(served, "/v1"),
        names: { map: {}, only: undefined },
      },
    ],
    failover: { on: new Set(), codes: new Set() },
    retry: config.retry,
    hedge: config.hedge,
    limits: config.limits,
    client: { interruptEnd: config.interruptEnd, heartbeat: config.heartbeat },
  };
  const held = new HeldMemory();
  const context: RelayContext = {
    kept: new KeptStreams(held),
    held,
    observer: {
      onExchangeEnd(_exchange, end) {
        outcome = end.outcome;
      },
    },
    propagator: { headersFor: () => ({}) },
    sticky: new StickyUpstreams(),
    retries: new RetryBudget(),
    hedging: new Hedging(),
  };
  const over = relay(routeRequest(url, headers, body), response as unknown as ServerResponse, settings, context);
  while (upstream === undefined) await new Promise((resolve) => setImmediate(resolve));
  const sink = upstream;
  sink.onHead(200, { "content-type": "text/event-stream" });
  return {
    read: (chunk) => sink.onData(chunk),
    async end() {
      sink.onEnd();
      await over;
      return { outcome, bytes: response.bytes };
    },
  };
}
