/** The Fastify edge: routes become exchanges and go to the relay; everything refused is refused here. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Dialect } from "../core/dialect.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { RouteTable } from "../dialect/route-table.ts";
import { type Arrival, arrive, comeBack, streamOfPath } from "../relay/come-back.ts";
import { relay } from "../relay/relay.ts";
import type { RelaySettings } from "../relay/relay-settings.ts";
import type { RelayContext } from "../relay/start-run.ts";
import { passBody, readBody } from "./body-limit.ts";
import { createBrokenRequestHandler, refuseOtherProtocols } from "./broken-request.ts";
import { type KeyHolder, refuseModel } from "./client-keys.ts";
import { isFromForeignPage } from "./cross-site.ts";
import { type Dashboard, registerDashboard, wantsPage } from "./dashboard/dashboard-routes.ts";
import { abortWhenClientLeaves, createExchange } from "./exchange-factory.ts";
import { HeldRequest } from "./held-request.ts";
import { createFastifyLimits, refuseHead } from "./http-limits.ts";
import { answerOfStream, wantsState } from "./kept-stream-routes.ts";
import type { OpenExchanges, Slot } from "./open-exchanges.ts";
import { isAllowedOrigin, isPreflight, preflightHeaders, setCorsHeaders } from "./origins.ts";
import { foreignPage, reject } from "./reject.ts";
import { decodeBody } from "./request-encoding.ts";
import { type Mount, type RequestPath, readRequestPath } from "./request-path.ts";

export interface ServerOptions {
  readonly open: OpenExchanges;
  /** Certificate and key, as PEM; undefined for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Asked anew for each request, which keeps what it was given to its end. */
  readonly current: () => ServerSettings;
}

/** What a new configuration may change while the server runs. */
export interface ServerSettings {
  readonly mount: Mount;
  /** The path of the upstream's base URL. */
  readonly basePath: string;
  /** Beginnings of paths that are served without the mount as well. */
  readonly bare: readonly string[];
  /** The dialects by the paths at which they are spoken, under the mount; every other path is passed through. */
  readonly routes: RouteTable;
  readonly relay: RelaySettings;
  readonly context: RelayContext;
  /** Whose key the headers present, if it is one that opens this door; see createKeyCheck. */
  readonly keyOf: (headers: IncomingHttpHeaders) => KeyHolder | undefined;
  /** No key is needed since only this machine can connect: then a web page from elsewhere must not use its user's browser to do so. */
  readonly localOnly: boolean;
  /** Web pages from elsewhere that may use it all the same (`cors.origins`). */
  readonly corsOrigins: readonly string[];
  /** The upstream has been asked a first question and has answered it, where that is wanted. */
  readonly isWarm: () => boolean | Promise<boolean>;
  /** What `/metrics` answers; undefined when there is nothing at that path. */
  readonly metrics: { readonly public: boolean; read(): Promise<{ contentType: string; body: string }> } | undefined;
  /** What `/dashboard` shows; undefined when there is nothing at that path. */
  readonly dashboard: Dashboard | undefined;
}

/** What stands at the root: some programs ask there whether anything listens. */
const ABOUT = { name: "Perennial", what: "a proxy that makes LLM streams unbreakable", api: "/v1", health: "/healthz" };

/** A request that may be served. */
interface Admitted {
  /** Whose; see createKeyCheck. */
  readonly key: string;
  readonly slot: Slot;
  readonly held: HeldRequest;
  readonly path: RequestPath;
}

declare module "fastify" {
  interface FastifyRequest {
    /** On the clock of `performance.now()`: its head was read. */
    arrivedAt: number;
  }
}

/** TRACE is left out: it would send our key for the upstream back to any client that asks. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export function createServer(options: ServerOptions): FastifyInstance {
  const { open, current, tls } = options;
  const observer = (): Observer => current().context.observer;
  const brokenRequests = createBrokenRequestHandler();
  const app = Fastify({
    logger: false,
    ...createFastifyLimits(tls),
    // Draining is ours: see OpenExchanges.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    genReqId: () => randomUUID(),
    clientErrorHandler: brokenRequests.answer,
    // A path that cannot be decoded finds no route, and so none of what stands before the routes.
    frameworkErrors: (error, request, reply) => refuseUnrouted(error, request, reply),
  });
  refuseOtherProtocols(app.server);

  app.decorateRequest("arrivedAt", 0);
  app.addHook("onRequest", (request, reply, done) => {
    request.arrivedAt = performance.now();
    const odd = greet(request, reply);
    if (odd !== undefined || !isPreflight(request.method, request.headers)) return done(odd);
    if (!isAllowedOrigin(request.headers.origin ?? "", current())) return done(foreignPage());
    reply.code(204).headers(preflightHeaders(request.headers)).send();
  });
  app.setErrorHandler((error, request, reply) => reject(request, reply, error, observer(), dialectOf(request)));
  app.setNotFoundHandler((request, reply) => {
    reject(request, reply, new Failure("not_found", `There is nothing for ${request.method} here.`), observer());
  });

  app.get("/", (request, reply) => {
    if (current().mount !== "/") {
      const showsPage = current().dashboard !== undefined && wantsPage(request);
      return showsPage ? reply.redirect("dashboard") : reply.send(ABOUT);
    }
    // Here the root is the upstream's.
    return serve(request, reply);
  });
  app.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const isWarm = await current().isWarm();
    const status = open.draining ? "draining" : isWarm ? "ready" : "warming up";
    return reply.code(status === "ready" ? 200 : 503).send({ status });
  });
  app.get("/metrics", async (request, reply) => {
    const { metrics } = current();
    // A client without a key is not told either that there is nothing here.
    if (!metrics?.public) keyOf(request);
    if (metrics === undefined) return reply.callNotFound();
    const { contentType, body } = await metrics.read();
    return reply.type(contentType).send(body);
  });

  registerDashboard(app, {
    current: () => current().dashboard,
    checkKey: (request) => void keyOf(request),
    otherwise(request, reply) {
      keyOf(request);
      return current().mount === "/" ? serve(request, reply) : reply.callNotFound();
    },
  });

  app.register((api, _options, done) => {
    // Bodies are read here, or passed on unread: Fastify's parsers would read them before the path says which it is to be.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
    // Before the path is looked at: a refusal says nothing of what is there.
    api.addHook("onRequest", async (request) => void keyOf(request));
    api.route({ method: METHODS, url: "/*", handler: serve });
    done();
  });

  /** What every response needs, whatever becomes of its request. @returns why the request is refused for its head alone. */
  function greet(request: FastifyRequest, reply: FastifyReply): Failure | undefined {
    brokenRequests.watch(request.raw.socket, reply.raw);
    reply.header("x-perennial-id", request.id);
    setCorsHeaders(request.headers, reply.raw, current());
    const odd = refuseHead(request.raw);
    // What it may speak instead of WebSocket must be named (RFC 9110 §15.5.22).
    if (odd?.status === 426) reply.headers({ upgrade: "HTTP/1.1", connection: "upgrade, close" });
    // Whatever follows it may be as odd.
    else if (odd !== undefined) reply.header("connection", "close");
    return odd;
  }

  function refuseUnrouted(error: Error, request: FastifyRequest, reply: FastifyReply): void {
    let refusal: unknown =
      greet(request, reply) ?? new Failure("invalid_request", "The path is not spelled as URLs are.", { cause: error });
    try {
      keyOf(request);
    } catch (noKey) {
      refusal = noKey;
    }
    reject(request, reply, refusal, observer());
  }

  /** @throws Failure `unauthorized` */
  function keyOf({ method, headers }: FastifyRequest): KeyHolder {
    const settings = current();
    const key = settings.keyOf(headers);
    if (key === undefined) {
      throw new Failure("unauthorized", "A valid key is needed: send it as `Authorization: Bearer <key>`.");
    }
    if (settings.localOnly && isFromForeignPage(method, headers, (origin) => isAllowedOrigin(origin, settings)))
      throw foreignPage();
    return key;
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const key = keyOf(request).id;
    const admitted = open.admit(key);
    const slot = admitted instanceof Promise ? await admitted : admitted;
    const held = new HeldRequest(current().context.held);
    try {
      const settings = current();
      const path = readRequestPath(request.url, settings);
      const stream = settings.relay.replay && streamOfPath(path.route);
      if (stream === undefined) await begin(request, reply, { key, slot, held, path });
      else if (request.method !== "GET" || wantsState(request.headers)) {
        await answerOfStream(request, reply, { stream, key, context: settings.context });
        slot.release();
        held.release();
      } else await beginAgain(request, reply, { key, slot, held, path }, stream);
    } catch (refusal) {
      slot.release();
      held.release();
      throw refusal;
    }
  }

  async function begin(request: FastifyRequest, reply: FastifyReply, admitted: Admitted): Promise<void> {
    const settings = current();
    const { method, headers } = request;
    const { held, key } = admitted;
    const { path, plain, route, query } = admitted.path;
    const found = method === "POST" ? settings.routes.find(route) : undefined;
    const dialect = found?.dialect;
    const { maxBodyBytes } = settings.relay.limits;
    // A body that is refused, or answered before it was read, is read to its end and dropped, for as long as timeouts.request allows:
    // its client may write all of it before it reads, and would lose the answer with a connection that is closed on unread bytes.
    reply.raw.once("finish", () => {
      if (!request.raw.complete) request.raw.unpipe().resume();
    });
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
    const body = dialect !== undefined ? await readBody(request.raw, maxBodyBytes, held) : hasBody ? passBody(request.raw) : null;
    const decoded = Buffer.isBuffer(body) ? await decodeBody(body, headers["content-encoding"], maxBodyBytes) : undefined;
    held.take(decoded?.length ?? 0);
    // A body takes its time: the configuration may be another by now.
    const { client } = keyOf(request);
    open.refuseWhileDraining();
    // However a client spells a dialect's path, the upstream gets it in one spelling; a name in it is the client's to spell.
    const target = (found === undefined || found.isNamed ? path : plain) + query;
    const exchange = createExchange({
      id: request.id,
      arrivedAt: request.arrivedAt,
      key,
      dialect,
      client,
      request: { method, path: target, headers, body, ...(decoded && { plain: decoded }) },
    });
    refuseModel(client, method, exchange.api?.request.model);
    const learning = settings.relay.offers.length > 1 ? settings.context.sticky.learn(exchange.request) : undefined;
    if (learning !== undefined) {
      await learning;
      open.refuseWhileDraining();
    }
    const { relay: asked, context } = current();
    let arrival: Arrival | undefined;
    held.serve({ abort: (failure) => abortAll(exchange, arrival, failure) });
    // What it claims must be begun: nothing may refuse the request from here on.
    arrival = asked.replay && (await arrive(exchange, asked.replay, context));
    hand(exchange, request, reply, admitted, arrival);
  }

  /** For a client that comes back to an answer, by its id. */
  async function beginAgain(request: FastifyRequest, reply: FastifyReply, admitted: Admitted, stream: string): Promise<void> {
    const { method, headers, id, arrivedAt } = request;
    const { key, path } = admitted;
    reply.header("cache-control", "no-store");
    const after = new URLSearchParams(path.query).get("after");
    const arrival = await comeBack(stream, { key, headers, after }, current().context);
    if (arrival.stream.isLast(arrival.after)) {
      // EventSource asks no more.
      reply.code(204).header("x-perennial-stream", stream).send();
      admitted.slot.release();
      admitted.held.release();
      return;
    }
    const { api } = arrival.stream;
    const exchange = createExchange({
      id,
      arrivedAt,
      key,
      dialect: undefined,
      api,
      request: { method, path: path.path, headers, body: null },
    });
    admitted.held.serve(exchange);
    hand(exchange, request, reply, admitted, arrival);
  }

  function hand(
    exchange: Exchange,
    request: FastifyRequest,
    reply: FastifyReply,
    { slot, held }: Admitted,
    arrival: Arrival | undefined,
  ): void {
    // From here on the response is ours: Fastify would serialize it, and end it.
    reply.hijack();
    abortWhenClientLeaves(exchange, request.raw, reply.raw);
    if (open.draining) reply.raw.setHeader("connection", "close");
    const { relay: settings, context } = current();
    slot.hold(
      { abort: (failure) => abortAll(exchange, arrival, failure) },
      relay(exchange, reply.raw, settings, context, arrival).finally(() => held.release()),
    );
  }

  /** Ends what an exchange began as well, which its client may have left to those that come back. */
  function abortAll(exchange: Exchange, arrival: Arrival | undefined, failure: Failure): void {
    exchange.abort(failure);
    if (arrival?.kind === "starts") arrival.stream.giveUp(failure);
  }

  /** The dialect whose client is to be refused, so that it is told in its own words. */
  function dialectOf(request: FastifyRequest): Dialect | undefined {
    const settings = current();
    try {
      return settings.routes.find(readRequestPath(request.url, settings).route)?.dialect;
    } catch {
      return undefined;
    }
  }

  return app;
}
