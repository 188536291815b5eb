/** One configured upstream: its address, its key, its pool of kept-alive connections, and the one way to call it. */
import { isIP } from "node:net";
import type { Readable } from "node:stream";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { Headers } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import { type ConnectedCall, Connection, type Turn } from "./connection.ts";
import { isOutOfDescriptors } from "./descriptors.ts";
import { toClientHeaders, toUpstreamHeaders, toUpstreamPath } from "./headers.ts";
import { createTunnelConnector, ProxyError, type UpstreamProxy } from "./proxy.ts";
import { type TransportStage, toTransportFailure } from "./transport-failure.ts";

export interface UpstreamOptions {
  readonly name: string;
  /** `http(s)://host[:port][/path]`, without a trailing slash. */
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  /** The header that takes the key; `authorization` takes it as a bearer token. */
  readonly keyHeader: "authorization" | "x-api-key" | "api-key";
  /** The client's credentials are Perennial's own keys, and end here. */
  readonly dropCredentials: boolean;
  /** The client's credentials are meant for another upstream: whatever may be one of them ends here. */
  readonly isForeign?: boolean;
  /** Undefined for no limit. */
  readonly maxConnections: number | undefined;
  readonly keepAliveMs: number;
  readonly connectTimeoutMs: number;
  /** Authorities that are trusted in place of the well-known ones, as PEM. */
  readonly ca: string | undefined;
  /** Where connections go first; undefined for straight to the upstream. */
  readonly proxy: UpstreamProxy | undefined;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query under the base URL. */
  readonly path: string;
  /** The client's headers; they are cleaned here. */
  readonly headers: Headers;
  /** Headers of ours, set after the cleaning. */
  readonly set: Readonly<Record<string, string>>;
  readonly body: Buffer | Readable | null;
  /** Safe to send twice. */
  readonly idempotent: boolean;
}

/** What a call tells its caller: one head, data, then one end or one failure; nothing after an abort. */
export interface ResponseSink {
  /** The request goes out now: a connection is there, and free. Twice where a kept one turned out to be dead. */
  onHandover?(): void;
  onHead(status: number, headers: Record<string, string | string[]>): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFailure(failure: Failure): void;
}

export interface Call {
  pause(): void;
  resume(): void;
  /** Ends the call and its connection now. */
  abort(): void;
  /** The answer is whole: lets the response come to its end so that the connection can be kept, but not for long. */
  release(): void;
}

export interface Upstream {
  readonly name: string;
  /** It gets a key of ours, and not its clients' own. */
  readonly hasOwnKey: boolean;
  /** It gets its clients' own credentials: that it wants others is theirs to mend. */
  readonly getsClientKey: boolean;
  /** The same upstream, asked with another key. */
  withKey(apiKey: string): Upstream;
  /** The whole URL that a path is asked at. */
  addressOf(path: string): string;
  send(request: UpstreamRequest, sink: ResponseSink): Call;
  close(): Promise<void>;
}

/** How long a response may take to end after its last event, in milliseconds; some servers leave the socket open. */
export const RELEASE_MS = 1_000;

export function createUpstream(options: UpstreamOptions): Upstream {
  const { origin, pathname } = new URL(options.baseUrl);
  const basePath = pathname === "/" ? "" : pathname;
  const route = createRoute(options);
  const pool = new Pool(route.proxied === undefined ? origin : route.proxied.origin, {
    // Those that wait for one are kept before the pool; it holds the limit also for connections that are being closed.
    connections: options.maxConnections ?? null,
    keepAliveTimeout: options.keepAliveMs,
    keepAliveMaxTimeout: options.keepAliveMs,
    // A reset of an HTTP/2 stream without an error code would look like a clean end.
    allowH2: false,
    // Our own timers tell content from signs of life; undici's know bytes alone.
    headersTimeout: 0,
    bodyTimeout: 0,
    factory: (origin, client) => new Connection(origin, client, route.connect),
  });

  const withKey = (own: UpstreamOptions): Upstream => ({
    name: own.name,
    withKey: (apiKey) => withKey({ ...own, apiKey }),
    addressOf: (path) => origin + basePath + path,
    hasOwnKey: own.apiKey !== undefined,
    getsClientKey: own.apiKey === undefined && !own.isForeign && !own.dropCredentials,
    send(request, sink) {
      const call = new PooledCall(pool, request.idempotent, sink, {
        method: request.method as Dispatcher.HttpMethod,
        path: (route.proxied === undefined ? "" : origin) + joinPaths(basePath, toUpstreamPath(request.path, own)),
        headers: { ...toUpstreamHeaders(request.headers, own), ...request.set, ...route.proxied?.headers },
        body: request.body,
        ...route.proxied?.tls,
      });
      call.start();
      return call;
    },
    close: () => pool.destroy(),
  });
  return withKey(options);
}

/** Azure's clients say `/openai/…` themselves, which a base URL for others may end with. */
function joinPaths(basePath: string, path: string): string {
  return (path.startsWith("/openai/") ? basePath.replace(/\/openai(?:\/v1)?$/, "") : basePath) + path;
}

interface Route {
  readonly connect: buildConnector.connector;
  /** Requests for http upstreams are not tunnelled but handed to the proxy, with the whole URL as their target (RFC 9112 §3.2.2). */
  readonly proxied:
    | { readonly origin: string; readonly headers: Record<string, string>; readonly tls: { readonly servername?: string } }
    | undefined;
}

function createRoute({ baseUrl, ca, proxy, connectTimeoutMs }: UpstreamOptions): Route {
  const { protocol, host } = new URL(baseUrl);
  const direct = buildConnector({
    timeout: connectTimeoutMs,
    allowH2: false,
    // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot say otherwise.
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  });
  if (proxy === undefined) return { connect: direct, proxied: undefined };
  if (protocol === "https:") return { connect: createTunnelConnector(proxy, direct, connectTimeoutMs), proxied: undefined };
  const { url, variable, authorization } = proxy;
  return {
    connect(options, callback) {
      direct(options, (...result) => {
        const { code } = (result[0] ?? {}) as NodeJS.ErrnoException;
        if (result[0] === null || isOutOfDescriptors(code)) callback(...result);
        else callback(new ProxyError(`the proxy (${variable}) could not be reached${code ? ` (${code})` : ""}`), null);
      });
    },
    proxied: {
      origin: url.origin,
      headers: { host, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) },
      // Otherwise the proxy would be asked for the certificate of the upstream.
      tls: url.protocol === "https:" && isIP(url.hostname) === 0 ? { servername: url.hostname } : {},
    },
  };
}

class PooledCall implements Call, ConnectedCall {
  readonly #pool: Pool;
  readonly #idempotent: boolean;
  readonly #sink: ResponseSink;
  readonly #options: Dispatcher.DispatchOptions;
  #releaseTimer: NodeJS.Timeout | undefined;
  #connection: Connection | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** Since the request went out; undefined before. */
  #turn: Turn | undefined;
  #headersSeen = false;
  #secondTry = false;
  /** Nothing more may reach the sink. */
  #over = false;
  #aborted = false;

  constructor(pool: Pool, idempotent: boolean, sink: ResponseSink, options: Dispatcher.DispatchOptions) {
    this.#pool = pool;
    this.#idempotent = idempotent;
    this.#sink = sink;
    this.#options = options;
  }

  start(): void {
    try {
      this.#pool.dispatch(this.#options, this);
    } catch (error) {
      // A header value that HTTP does not allow, or a pool that is closed.
      queueMicrotask(() => this.#fail(error as Error));
    }
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#controller?.paused) this.#controller.resume();
  }

  abort(): void {
    this.#over = true;
    this.#aborted = true;
    this.#controller?.abort(new Error("aborted by Perennial"));
  }

  release(): void {
    this.#over = true;
    this.resume();
    this.#releaseTimer = setTimeout(() => this.abort(), RELEASE_MS).unref();
  }

  onConnection(connection: Connection): void {
    this.#connection = connection;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#turn = this.#connection?.begin();
    if (this.#aborted) controller.abort(new Error("aborted by Perennial"));
    if (!this.#over) this.#sink.onHandover?.();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    // 102 Processing, 103 Early Hints: the response itself is still to come.
    if (status < 200) return;
    // A path with a host in it was for a proxy, and this answer is the proxy's own.
    if (status === 407 && !this.#options.path.startsWith("/")) {
      this.#fail(new ProxyError("the proxy wants a user and a password, or others than it got (407)", true));
      this.abort();
      return;
    }
    this.#headersSeen = true;
    if (!this.#over) this.#sink.onHead(status, toClientHeaders(headers));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici hands over empty chunks too, when it is resumed and nothing has come. They are no sign of life.
    if (!this.#over && chunk.length > 0) this.#sink.onData(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#releaseTimer);
    if (this.#over) return;
    const broken = this.#connection?.error;
    if (broken !== undefined) {
      this.#fail(broken);
      return;
    }
    this.#over = true;
    this.#sink.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#releaseTimer);
    if (this.#over) return;
    // The upstream closed a kept-alive connection at the moment we chose it. That says nothing about this request,
    // so it is sent again at once, and does not count as an attempt.
    if (this.#idempotent && !this.#secondTry && this.#turn?.isStale()) {
      this.#secondTry = true;
      this.#controller = undefined;
      this.#turn = undefined;
      this.start();
      return;
    }
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.onFailure(toTransportFailure(error, this.#stage()));
  }

  #stage(): TransportStage {
    if (this.#headersSeen) return "answering";
    if (this.#turn === undefined) return "connecting";
    return this.#turn.isSilent() ? "asking" : "answering-head";
  }
}
