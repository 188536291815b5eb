/** A whole HTTP reply to a client. */
import type { ServerResponse } from "node:http";
import type { Exchange } from "../core/exchange.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { endWhole } from "./connection-end.ts";
import { writeResponseHead } from "./response-head.ts";

export function sendReply(
  raw: ServerResponse,
  exchange: Exchange,
  reply: {
    readonly status: number;
    readonly headers: ReplyHeaders;
    readonly body: Buffer | string;
    /** Whose it is, where another upstream was asked after it. */
    readonly upstream?: string | undefined;
  },
): void {
  const { status, headers } = reply;
  const body = typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
  // An answer to HEAD, and a 304, give the length of a body that does not come (RFC 9110 §8.6): what the upstream said of it stands.
  const isOnlyHead = body.length === 0 && (status === 304 || raw.req.method === "HEAD");
  writeResponseHead(
    raw,
    exchange,
    status,
    isOnlyHead ? headers : { ...headers, "content-length": String(body.length) },
    reply.upstream,
  );
  exchange.stats.bytes += body.length;
  endWhole(raw, body);
}
