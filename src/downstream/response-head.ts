/** The head of whatever a client gets: status, headers, and what Perennial says of the exchange. */
import type { ServerResponse } from "node:http";
import { decisiveOf } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { ReplyHeaders } from "../core/reply.ts";

/**
 * It leaves with the first bytes, or when it is flushed.
 * @param exchange whose attempts are told as they are at this moment.
 * @param answeredBy the upstream whose reply it is. @defaultValue the one that was asked last, but for one that was merely slower
 */
export function writeResponseHead(
  raw: ServerResponse,
  { id, attempts, kept }: Pick<Exchange, "id" | "attempts" | "kept">,
  status: number,
  headers: ReplyHeaders,
  answeredBy?: string,
): void {
  const upstream = answeredBy ?? decisiveOf(attempts)?.upstream;
  raw.writeHead(status, {
    ...headers,
    "x-perennial-id": id,
    "x-perennial-attempts": String(attempts.length),
    ...(upstream === undefined ? {} : { "x-perennial-upstream": upstream }),
    ...(kept === undefined ? {} : keptHeaders(raw, kept.stream)),
  });
}

/** What is kept here, for a time and for one client, is nobody else's to keep. */
function keptHeaders(raw: ServerResponse, stream: string): ReplyHeaders {
  const exposed = raw.getHeader("access-control-expose-headers");
  return {
    "x-perennial-stream": stream,
    "cache-control": "no-store, no-transform",
    ...(typeof exposed === "string" ? { "access-control-expose-headers": `${exposed}, x-perennial-stream` } : {}),
  };
}
