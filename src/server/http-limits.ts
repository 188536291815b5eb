/** What a connection may ask of the HTTP server itself: how much, how many, and how slowly. */
import type { IncomingHttpHeaders, IncomingMessage, Server } from "node:http";
import type { FastifyServerOptions } from "fastify";
import { Failure } from "../core/failure.ts";
import { ByteHeadResponse } from "./byte-head-response.ts";

export interface HttpLimits {
  /** Receiving a request, head and body, may take this long, in milliseconds; a slower client is a slow loris. */
  readonly requestMs: number;
  /** Connections at one time, idle ones included. Each takes a file descriptor, which the upstream's need too. */
  readonly maxConnections: number;
}

/** The request line and all headers together. */
const MAX_HEAD_BYTES = 16_384;
/** No client sends a tenth of it. */
const MAX_HEADERS = 256;
/** A head, or a TLS handshake, is small and arrives at once; in milliseconds. */
const MAX_HEAD_MS = 30_000;
/** How late a request that takes too long may be noticed, in milliseconds. */
const CHECK_MS = 1_000;

/** The limits that are fixed when the server is made. */
export function createFastifyLimits(tls: { readonly cert: string; readonly key: string } | undefined): FastifyServerOptions {
  const fixed = {
    maxHeaderSize: MAX_HEAD_BYTES,
    connectionsCheckingInterval: CHECK_MS,
    insecureHTTPParser: false,
    ServerResponse: ByteHeadResponse,
    // Ours to refuse, with a body that says why: see refuseHead.
    requireHostHeader: false,
  };
  // Fastify's types know only one kind of server at a time; what is asked of either here is the same.
  const options: object = tls === undefined ? { http: fixed } : { https: { ...fixed, ...tls, handshakeTimeout: MAX_HEAD_MS } };
  return options;
}

/** The limits that a new configuration may change. */
export function setHttpLimits(server: Server, { requestMs, maxConnections }: HttpLimits): void {
  server.requestTimeout = requestMs;
  server.headersTimeout = Math.min(MAX_HEAD_MS, requestMs);
  // One more, for the newcomer in whose favour another one goes: see watchClientConnections.
  server.maxConnections = maxConnections + 1;
  // Node would drop further headers without a word, and with them whatever they forbid; they are counted in refuseHead.
  server.maxHeadersCount = 0;
}

export function wantsWebSocket({ upgrade = "" }: IncomingHttpHeaders): boolean {
  return /\bwebsocket\b/i.test(upgrade);
}

/** A head that is valid HTTP, but is refused before anything else is looked at. */
export function refuseHead({ rawHeaders, headers, httpVersion }: IncomingMessage): Failure | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    return new Failure("invalid_request", `The request has more than ${MAX_HEADERS} headers.`, { status: 431 });
  }
  // Two hosts are read as one by the one server and as the other by the next (RFC 9112 §3.2).
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1 || (hosts === 0 && httpVersion !== "1.0")) {
    return new Failure("invalid_request", "The request needs one Host header, and no more.");
  }
  // What else was done to the body would be lost on its way (RFC 9112 §6.1).
  if (/,\s*chunked\s*$/i.test(headers["transfer-encoding"] ?? "")) {
    return new Failure("invalid_request", "The only transfer-encoding that is served here is chunked.", { status: 501 });
  }
  if (wantsWebSocket(headers)) {
    // Codex goes on over HTTP when it hears this status, and gives up at any other.
    return new Failure("invalid_request", "WebSockets are not served here. Use the HTTP API, with `stream: true`.", {
      status: 426,
    });
  }
  return undefined;
}
