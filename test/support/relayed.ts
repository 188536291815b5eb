/** One exchange in memory: its upstreams answer as they are told, and its client's response is what it was given. No sockets. */
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { createUpstreamShared } from "../../src/balance/candidate.ts";
import { Hedging } from "../../src/balance/hedging.ts";
import { RateLimiters } from "../../src/balance/rate/rate-limiters.ts";
import type { SharedRates } from "../../src/balance/rate/shared-rates.ts";
import { RetryBudget } from "../../src/balance/retry-budget.ts";
import { StickyUpstreams } from "../../src/balance/sticky-upstreams.ts";
import { ownedRates } from "../../src/config/owned-rates.ts";
import { applyProfile } from "../../src/config/profiles.ts";
import { configSchema } from "../../src/config/schema.ts";
import type { ClientKey, Exchange, ExchangeEnd } from "../../src/core/exchange.ts";
import type { Failure } from "../../src/core/failure.ts";
import { HeldMemory } from "../../src/core/held-memory.ts";
import type { Observer } from "../../src/core/observer.ts";
import { OPENAI_ROUTES } from "../../src/dialect/registry.ts";
import type { Arrival } from "../../src/relay/come-back.ts";
import { relay } from "../../src/relay/relay.ts";
import type { RelaySettings } from "../../src/relay/relay-settings.ts";
import type { RelayContext } from "../../src/relay/start-run.ts";
import { KeptStreams } from "../../src/run/kept-streams.ts";
import { offersOf } from "../../src/runtime/backend.ts";
import { createExchange } from "../../src/server/exchange-factory.ts";
import type { ResponseSink, Upstream, UpstreamRequest } from "../../src/upstream/upstream.ts";

/** What an upstream was asked. */
export interface SeenRequest {
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Headers of ours. */
  readonly set: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How an upstream answers one request; what it says after its end, or to a call that was ended, reaches nobody. */
export type Answers = (to: ResponseSink, request: SeenRequest) => void;

const OK = 200;

/** A stream, in as many reads as there are texts; then it ends well, or breaks, or stays open. */
export function streams(texts: readonly string[], end: "well" | "open" | Failure = "well", headers = {}): Answers {
  return (to) => {
    to.onHead(OK, { "content-type": "text/event-stream", ...headers });
    for (const text of texts) to.onData(Buffer.from(text));
    if (end === "well") to.onEnd();
    else if (end !== "open") to.onFailure(end);
  };
}

export function replies(body: unknown, status = OK, headers: Record<string, string> = {}): Answers {
  return (to) => {
    to.onHead(status, { "content-type": "application/json", ...headers });
    to.onData(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));
    to.onEnd();
  };
}

export function fails(failure: Failure): Answers {
  return (to) => to.onFailure(failure);
}

/** What a client was given. */
export class MemoryResponse extends EventEmitter {
  readonly req = { httpVersionMinor: 1, httpVersion: "1.1", method: "POST", headers: {}, socket: null };
  readonly socket = null;
  headersSent = false;
  /** It takes what it is given when it is told to, and not before. */
  isSlow = false;
  #isEnded = false;
  statusCode = OK;
  headers: Record<string, unknown> = {};
  body = "";
  how: "clean" | "cut" | undefined;

  get writableEnded(): boolean {
    return this.#isEnded;
  }

  get writableFinished(): boolean {
    return this.how === "clean";
  }

  get destroyed(): boolean {
    return this.how !== undefined;
  }

  get writableNeedDrain(): boolean {
    return this.isSlow && this.writableLength > 0;
  }

  get writableLength(): number {
    return this.isSlow && !this.destroyed ? this.body.length : 0;
  }

  writeHead(status: number, headers: Record<string, unknown>): this {
    this.statusCode = status;
    this.headers = headers;
    this.headersSent = true;
    return this;
  }

  getHeader(): undefined {
    return undefined;
  }

  flushHeaders(): void {}

  setTimeout(): this {
    return this;
  }

  write(data: string | Uint8Array, onWritten?: () => void): boolean {
    if (this.destroyed || this.#isEnded) throw new Error("written to after its end");
    this.body += Buffer.from(data as string).toString("utf8");
    onWritten?.();
    return !this.isSlow;
  }

  end(data?: string | Uint8Array): this {
    if (data !== undefined) this.write(data);
    this.#isEnded = true;
    return this.isSlow ? this : this.#over("clean");
  }

  /** Its client takes what is there. */
  take(): void {
    this.isSlow = false;
    this.emit("drain");
    if (this.#isEnded && !this.destroyed) this.#over("clean");
  }

  destroy(): this {
    return this.destroyed ? this : this.#over("cut");
  }

  #over(how: "clean" | "cut"): this {
    this.how = how;
    // As a real one does.
    process.nextTick(() => this.emit("close"));
    return this;
  }
}

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** A text as it is; anything else as JSON. */
  readonly body?: unknown;
  readonly client?: ClientKey;
  readonly key?: string;
  /** Where its answer is kept. */
  readonly arrive?: (exchange: Exchange) => Promise<Arrival | undefined>;
  /** Told of the exchange before it is relayed. */
  readonly onExchange?: (exchange: Exchange, response: MemoryResponse) => void;
}

export interface Relayed {
  readonly status: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly how: "clean" | "cut" | undefined;
  readonly end: ExchangeEnd;
  readonly exchange: Exchange;
}

export interface Rig {
  readonly settings: RelaySettings;
  readonly context: RelayContext;
  /** What all of the upstreams were asked, in order. */
  readonly seen: SeenRequest[];
  exchangeOf(asked?: Asked): Exchange;
  /** One request, to its end. */
  send(asked?: Asked): Promise<Relayed>;
}

/** As in the YAML file; of the upstreams, by their names, what differs from the defaults. */
export type RigConfig = { readonly upstreams?: Readonly<Record<string, object>> | undefined } & Record<string, unknown>;

/**
 * @param answers of each upstream by its name, in order; the last one again and again.
 */
export function relayed(
  answers: Readonly<Record<string, Answers | readonly Answers[]>>,
  { upstreams, ...config }: RigConfig = {},
  { shared, ...more }: Partial<RelayContext> & { readonly shared?: SharedRates } = {},
): Rig {
  const parsed = configSchema.parse(
    applyProfile({
      upstreams: Object.keys(answers).map((name) => ({ name, baseUrl: `http://${name}.test/v1`, ...upstreams?.[name] })),
      interruptEnd: "clean",
      ...config,
      retry: { backoff: { initial: "1ms", jitter: false }, ...(config.retry as object) },
    }),
  );
  const seen: SeenRequest[] = [];
  const made = Object.entries(answers).map(([name, each]) => fakeUpstream(name, [each].flat(), seen));
  const rates = new RateLimiters(shared);
  rates.configure(ownedRates(parsed));
  const offers = offersOf(
    parsed,
    { upstreams: made, shared: parsed.upstreams.map(({ maxConnections }) => createUpstreamShared(maxConnections)) },
    rates,
  );
  const { retry, failover, hedge, limits, interruptEnd, heartbeat, progress, replay } = parsed;
  const settings: RelaySettings = {
    offers,
    keyLimiterOf: ({ name }) => rates.find({ scope: "key", name }),
    failover: { on: new Set(failover.on), codes: new Set(failover.codes) },
    retry,
    hedge,
    limits,
    client: { interruptEnd, heartbeat, progress },
    replay: replay || undefined,
  };
  const held = new HeldMemory();
  const ends = new Map<Exchange, ExchangeEnd>();
  const observer: Observer = {
    ...more.observer,
    onExchangeEnd(exchange, end) {
      ends.set(exchange, end);
      more.observer?.onExchangeEnd?.(exchange, end);
    },
  };
  const context: RelayContext = {
    kept: new KeptStreams(held),
    held,
    propagator: { headersFor: () => ({}) },
    sticky: new StickyUpstreams(),
    retries: new RetryBudget(),
    hedging: new Hedging(),
    ...more,
    observer,
  };
  const exchangeOf = ({ method = "POST", path = "/chat/completions", headers = {}, body = CHAT, client, key }: Asked = {}) =>
    createExchange({
      id: "the-id",
      arrivedAt: performance.now(),
      dialect: method === "POST" ? OPENAI_ROUTES.find((route) => route.path === path.split("?")[0])?.dialect : undefined,
      ...(client && { client }),
      ...(key === undefined ? {} : { key }),
      request: {
        method,
        path,
        headers,
        body: method === "GET" ? null : Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
      },
    });
  return {
    settings,
    context,
    seen,
    exchangeOf,
    async send(asked = {}) {
      const exchange = exchangeOf(asked);
      const response = new MemoryResponse();
      asked.onExchange?.(exchange, response);
      await relay(exchange, response as unknown as ServerResponse, settings, context, await asked.arrive?.(exchange));
      const end = ends.get(exchange);
      if (end === undefined) throw new Error("the exchange has not ended");
      const { headers, body, how } = response;
      return { status: response.headersSent ? response.statusCode : undefined, headers, body, how, end, exchange };
    },
  };
}

/** What a client asks that does not say. */
export const CHAT = { model: "m", stream: true, messages: [{ role: "user", content: "hello" }] };

function fakeUpstream(name: string, answers: readonly Answers[], seen: SeenRequest[]): Upstream {
  let asked = 0;
  const withKey = (apiKey: string | undefined): Upstream => ({
    name,
    hasOwnKey: apiKey !== undefined,
    getsClientKey: apiKey === undefined,
    withKey,
    addressOf: (path) => `http://${name}.test/v1${path}`,
    send({ method, path, headers, set, body }: UpstreamRequest, sink) {
      const request: SeenRequest = {
        upstream: name,
        method,
        path,
        headers: { ...headers },
        set,
        body: Buffer.isBuffer(body) ? body.toString("utf8") : "",
      };
      seen.push(request);
      const answer = answers[Math.min(asked++, answers.length - 1)];
      let isOver = false;
      const once =
        <T extends unknown[]>(tell: ((...args: T) => void) | undefined, isEnd = false) =>
        (...args: T): void => {
          if (isOver) return;
          isOver = isEnd;
          tell?.apply(sink, args);
        };
      queueMicrotask(() => {
        if (isOver) return;
        sink.onHandover?.();
        answer?.(
          {
            onHead: once(sink.onHead),
            onData: once(sink.onData),
            onEnd: once(sink.onEnd, true),
            onFailure: once(sink.onFailure, true),
          },
          request,
        );
      });
      return {
        pause() {},
        resume() {},
        abort() {
          isOver = true;
        },
        release() {},
      };
    },
    async close() {},
  });
  return withKey(undefined);
}
