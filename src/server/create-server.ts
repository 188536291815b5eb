/** The Fastify edge: routes become exchanges and go to the relay; everything refused is refused here. */
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Transform } from "node:stream";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";
import { relay } from "../relay/relay.ts";
import type { RelayOptions } from "../relay/relay-options.ts";
import { limitBody } from "./body-limit.ts";
import { createKeyCheck } from "./client-keys.ts";
import { abortWhenClientLeaves, createExchange } from "./exchange-factory.ts";
import type { OpenExchanges } from "./open-exchanges.ts";
import { reject } from "./reject.ts";
import { MOUNT, toUpstreamPath } from "./request-path.ts";

export interface ServerOptions {
  readonly dialects: readonly Dialect[];
  readonly relay: RelayOptions;
  readonly observer: Observer;
  readonly open: OpenExchanges;
  /** Keys that clients must present; none for everybody. */
  readonly keys: readonly string[];
}

/** Receiving a request, head and body, may take this long; a slower client is a slow loris. */
const REQUEST_TIMEOUT_MS = 120_000;

export function createServer(options: ServerOptions): FastifyInstance {
  const { open, observer } = options;
  const isAllowed = createKeyCheck(options.keys);
  const app = Fastify({
    logger: false,
    bodyLimit: options.relay.limits.maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Draining is ours: see OpenExchanges.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    genReqId: () => randomUUID(),
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    clientErrorHandler: answerBrokenRequest,
  });

  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-perennial-id", request.id);
    done();
  });
  app.setErrorHandler((error, request, reply) => reject(request, reply, error, observer));
  app.setNotFoundHandler((request, reply) => {
    reject(
      request,
      reply,
      new Failure("not_found", `There is nothing at ${request.method} ${pathOf(request)}. Models are served under ${MOUNT}/.`),
      observer,
    );
  });

  app.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    reply.code(open.draining ? 503 : 200).send({ status: open.draining ? "draining" : "ready" });
  });

  app.register((api, _options, done) => {
    api.addHook("onRequest", (request, _reply, next) => {
      if (!isAllowed(request.headers))
        next(new Failure("unauthorized", "A valid key is needed: send it as `Authorization: Bearer <key>`."));
      else next();
    });
    api.register((scope, _, ready) => {
      // The original bytes go to the upstream; the dialect parses a copy.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, parsed) => parsed(null, body));
      for (const dialect of options.dialects) {
        for (const path of dialect.paths) scope.post(MOUNT + path, (request, reply) => serve(request, reply, dialect, path));
      }
      ready();
    });
    api.register((scope, _, ready) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
      scope.all(`${MOUNT}/*`, (request, reply) => serve(request, reply, undefined, undefined));
      ready();
    });
    done();
  });

  function serve(
    request: FastifyRequest,
    reply: FastifyReply,
    dialect: Dialect | undefined,
    dialectPath: string | undefined,
  ): void {
    open.admit();
    const { method, headers } = request;
    const path = toUpstreamPath(request.url);
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
    const passBody = (): Transform =>
      limitBody(request.raw, options.relay.limits.maxBodyBytes, (failure) => {
        // What is left of the body must not be taken for the next request.
        reply.raw.setHeader("connection", "close");
        exchange.abort(failure);
      });
    const buffered = (request.body as Buffer | undefined) ?? null;
    const body = dialect === undefined && hasBody ? passBody() : buffered;
    // However a client spells a dialect's path, the upstream gets it in one spelling.
    const exchange = createExchange({
      id: request.id,
      dialect,
      request: { method, path: dialectPath === undefined ? path : dialectPath + queryOf(request), headers, body },
    });
    // From here on the response is ours: Fastify would serialize it, and end it.
    reply.hijack();
    abortWhenClientLeaves(exchange, request.raw, reply.raw);
    if (open.draining) reply.raw.setHeader("connection", "close");
    open.add(exchange, relay(exchange, reply.raw, options.relay));
  }

  return app;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0] ?? "";
}

function queryOf(request: FastifyRequest): string {
  const mark = request.url.indexOf("?");
  return mark === -1 ? "" : request.url.slice(mark);
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
