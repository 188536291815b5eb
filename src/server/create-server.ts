/** The Fastify edge: routes become exchanges and go to the relay; everything refused is refused here. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Transform } from "node:stream";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";
import { relay } from "../relay/relay.ts";
import type { RelayOptions } from "../relay/relay-options.ts";
import { limitBody, readBody } from "./body-limit.ts";
import { abortWhenClientLeaves, createExchange } from "./exchange-factory.ts";
import type { OpenExchanges } from "./open-exchanges.ts";
import { reject } from "./reject.ts";
import { type Mount, readRequestPath } from "./request-path.ts";

export interface ServerOptions {
  readonly open: OpenExchanges;
  /** Asked anew for each request, which keeps what it was given to its end. */
  readonly current: () => ServerSettings;
}

/** What a new configuration may change while the server runs. */
export interface ServerSettings {
  readonly mount: Mount;
  /** The dialects by the paths at which they are spoken, under the mount; every other path is passed through. */
  readonly routes: ReadonlyMap<string, Dialect>;
  readonly relay: RelayOptions;
  /** Whether the headers present a key that opens this door; see createKeyCheck. */
  readonly isAllowed: (headers: IncomingHttpHeaders) => boolean;
  /** The upstream has been asked a first question and has answered it, where that is wanted. */
  readonly isWarm: () => boolean;
  /** What `/metrics` answers; undefined when there is nothing at that path. */
  readonly metrics: { readonly public: boolean; read(): Promise<{ contentType: string; body: string }> } | undefined;
}

/** Receiving a request, head and body, may take this long; a slower client is a slow loris. */
const REQUEST_TIMEOUT_MS = 120_000;

export function createServer(options: ServerOptions): FastifyInstance {
  const { open, current } = options;
  const observer = (): Observer => current().relay.observer;
  const app = Fastify({
    logger: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Draining is ours: see OpenExchanges.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    genReqId: () => randomUUID(),
    clientErrorHandler: answerBrokenRequest,
  });

  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-perennial-id", request.id);
    done();
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
    if (metrics === undefined) return reply.callNotFound();
    const refusal = metrics.public ? undefined : refusalOf(request);
    if (refusal !== undefined) throw refusal;
    const { contentType, body } = await metrics.read();
    return reply.type(contentType).send(body);
  });

  app.register((api, _options, done) => {
    // Bodies are read here, or passed on unread: Fastify's parsers would read them before anybody knows which it is to be.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
    api.addHook("onRequest", (request, _reply, next) => next(refusalOf(request)));
    api.all("/*", serve);
    done();
  });

  function refusalOf({ headers }: FastifyRequest): Failure | undefined {
    if (current().isAllowed(headers)) return undefined;
    return new Failure("unauthorized", "A valid key is needed: send it as `Authorization: Bearer <key>`.");
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    open.admit();
    const settings = current();
    const { method, headers } = request;
    const { path, plain, query } = readRequestPath(request.url, settings.mount);
    const dialect = method === "POST" ? settings.routes.get(plain) : undefined;
    const { maxBodyBytes } = settings.relay.limits;
    const passBody = (): Transform =>
      limitBody(request.raw, maxBodyBytes, (failure) => {
        // What is left of the body must not be taken for the next request.
        reply.raw.setHeader("connection", "close");
        exchange.abort(failure);
      });
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
    const body = dialect !== undefined ? await readBody(request.raw, maxBodyBytes) : hasBody ? passBody() : null;
    // A body takes its time: others may have begun since, and the configuration may be another.
    open.admit();
    // However a client spells a dialect's path, the upstream gets it in one spelling.
    const target = (dialect === undefined ? path : plain) + query;
    const exchange = createExchange({ id: request.id, dialect, request: { method, path: target, headers, body } });
    // From here on the response is ours: Fastify would serialize it, and end it.
    reply.hijack();
    abortWhenClientLeaves(exchange, request.raw, reply.raw);
    if (open.draining) reply.raw.setHeader("connection", "close");
    open.add(exchange, relay(exchange, reply.raw, current().relay));
  }

  /** The dialect whose client is to be refused, so that it is told in its own words. */
  function dialectOf(request: FastifyRequest): Dialect | undefined {
    const { routes, mount } = current();
    try {
      return routes.get(readRequestPath(request.url, mount).plain);
    } catch {
      return undefined;
    }
  }

  return app;
}

/** What cannot even be parsed gets a plain answer, and its connection is closed: the next bytes could mean anything. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return;
  const [status, reason] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? [431, "The request's headers are too large."]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? [408, "The request did not arrive in time."]
        : [400, "The request is not valid HTTP."];
  const body = JSON.stringify(openAiErrorBody(new Failure("invalid_request", reason, { status }), reason));
  socket.end(
    `HTTP/1.1 ${status} ${status === 400 ? "Bad Request" : status === 408 ? "Request Timeout" : "Request Header Fields Too Large"}\r\n` +
      `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
