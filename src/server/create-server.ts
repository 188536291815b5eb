/** The Fastify edge: routes become exchanges and go to the relay; everything refused is refused here. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Transform } from "node:stream";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Dialect } from "../core/dialect.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { RouteTable } from "../dialect/route-table.ts";
import { type RelayContext, relay } from "../relay/relay.ts";
import type { RelaySettings } from "../relay/relay-settings.ts";
import { limitBody, readBody } from "./body-limit.ts";
import { createBrokenRequestHandler, refuseOtherProtocols } from "./broken-request.ts";
import { abortWhenClientLeaves, createExchange } from "./exchange-factory.ts";
import { createFastifyLimits, findOddHead } from "./http-limits.ts";
import { isFromForeignPage } from "./local-names.ts";
import type { OpenExchanges } from "./open-exchanges.ts";
import { reject } from "./reject.ts";
import { type Mount, readRequestPath } from "./request-path.ts";

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
  /** Beginnings of paths that are served without the mount as well. */
  readonly bare: readonly string[];
  /** The dialects by the paths at which they are spoken, under the mount; every other path is passed through. */
  readonly routes: RouteTable;
  readonly relay: RelaySettings;
  readonly context: RelayContext;
  /** Whose key the headers present, if it is one that opens this door; see createKeyCheck. */
  readonly keyOf: (headers: IncomingHttpHeaders) => string | undefined;
  /** No key is needed since only this machine can connect: then a web page from elsewhere must not use its user's browser to do so. */
  readonly localOnly: boolean;
  /** The upstream has been asked a first question and has answered it, where that is wanted. */
  readonly isWarm: () => boolean;
  /** What `/metrics` answers; undefined when there is nothing at that path. */
  readonly metrics: { readonly public: boolean; read(): Promise<{ contentType: string; body: string }> } | undefined;
}

/** TRACE is left out: it would send our key for the upstream back to whoever asks. */
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
  });
  refuseOtherProtocols(app.server);

  app.addHook("onRequest", (request, reply, done) => {
    brokenRequests.watch(request.raw.socket, reply.raw);
    reply.header("x-perennial-id", request.id);
    const odd = findOddHead(request.raw);
    // Whatever follows it may be as odd.
    if (odd !== undefined) reply.header("connection", "close");
    done(odd);
  });
  app.setErrorHandler((error, request, reply) => reject(request, reply, error, observer(), dialectOf(request)));
  app.setNotFoundHandler((request, reply) => {
    reject(request, reply, new Failure("not_found", `There is nothing for ${request.method} here.`), observer());
  });

  app.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    const status = open.draining ? "draining" : current().isWarm() ? "ready" : "warming up";
    reply.code(status === "ready" ? 200 : 503).send({ status });
  });
  app.get("/metrics", async (request, reply) => {
    const { metrics } = current();
    // Whoever has no key is not told either that there is nothing here.
    if (!metrics?.public) keyOf(request);
    if (metrics === undefined) return reply.callNotFound();
    const { contentType, body } = await metrics.read();
    return reply.type(contentType).send(body);
  });

  app.register((api, _options, done) => {
    // Bodies are read here, or passed on unread: Fastify's parsers would read them before anybody knows which it is to be.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
    // Before the path is looked at: a refusal says nothing of what is there.
    api.addHook("onRequest", async (request) => void keyOf(request));
    api.route({ method: METHODS, url: "/*", handler: serve });
    done();
  });

  /** @throws Failure `unauthorized` */
  function keyOf({ method, headers }: FastifyRequest): string {
    const settings = current();
    const key = settings.keyOf(headers);
    if (key === undefined) {
      throw new Failure("unauthorized", "A valid key is needed: send it as `Authorization: Bearer <key>`.");
    }
    if (settings.localOnly && isFromForeignPage(method, headers)) {
      throw new Failure(
        "unauthorized",
        "This request comes from a web page, or under a name in Host, that is not of this machine. To allow it, add a key to auth.keys, or set open: true.",
        { status: 403 },
      );
    }
    return key;
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    open.admit(keyOf(request));
    const settings = current();
    const { method, headers } = request;
    const { path, plain, query } = readRequestPath(request.url, settings.mount, settings.bare);
    const route = method === "POST" ? settings.routes.find(plain) : undefined;
    const dialect = route?.dialect;
    const { maxBodyBytes } = settings.relay.limits;
    let exchange: Exchange | undefined;
    // A request that was refused all the same, for its headers perhaps, has no exchange that could be ended.
    const passBody = (): Transform => limitBody(request.raw, maxBodyBytes, (failure) => exchange?.abort(failure));
    // A body that is refused, or answered before it was read, is read to its end and dropped, for as long as timeouts.request allows:
    // its client may write all of it before it reads, and would lose the answer with a connection that is closed on unread bytes.
    reply.raw.once("finish", () => {
      if (!request.raw.complete) request.raw.unpipe().resume();
    });
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
    const body = dialect !== undefined ? await readBody(request.raw, maxBodyBytes) : hasBody ? passBody() : null;
    // A body takes its time: others may have begun since, and the configuration may be another.
    const key = keyOf(request);
    open.admit(key);
    // However a client spells a dialect's path, the upstream gets it in one spelling; a name in it is the client's to spell.
    const target = (route === undefined || route.isNamed ? path : plain) + query;
    exchange = createExchange({ id: request.id, dialect, request: { method, path: target, headers, body } });
    // From here on the response is ours: Fastify would serialize it, and end it.
    reply.hijack();
    abortWhenClientLeaves(exchange, request.raw, reply.raw);
    if (open.draining) reply.raw.setHeader("connection", "close");
    open.add(exchange, key, relayed(exchange, reply.raw));
  }

  function relayed(exchange: Exchange, raw: ServerResponse): Promise<void> {
    const settings = current();
    return relay(exchange, raw, settings.relay, settings.context);
  }

  /** The dialect whose client is to be refused, so that it is told in its own words. */
  function dialectOf(request: FastifyRequest): Dialect | undefined {
    const { routes, mount, bare } = current();
    try {
      return routes.find(readRequestPath(request.url, mount, bare).plain)?.dialect;
    } catch {
      return undefined;
    }
  }

  return app;
}
