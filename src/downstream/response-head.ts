/** The head of whatever a client gets: status, headers, and what Perennial says of the exchange. */
import type { ServerResponse } from "node:http";
import { decisiveOf } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { ReplyHeaders } from "../core/reply.ts";

/**
 * @param exchange whose attempts are told as they are at this moment.
 * @param answeredBy the upstream whose reply it is. @defaultValue the one that was asked last, but for one that was merely slower
 */
export function writeResponseHead(
  raw: ServerResponse,
  { id, attempts }: Pick<Exchange, "id" | "attempts">,
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
  });
  // A head without a body yet would wait for the first write.
  raw.flushHeaders();
}
