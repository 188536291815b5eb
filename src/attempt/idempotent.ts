/** Whether a request may be sent twice. */
import type { Exchange } from "../core/exchange.ts";

/**
 * Asking a model again does no harm. What a second POST would do at an endpoint that no dialect claims cannot be known, and a
 * body that is passed on unread is gone after the first.
 */
export function isIdempotent({ api, request }: Pick<Exchange, "api" | "request">): boolean {
  return api !== undefined || (request.body === null && (request.method === "GET" || request.method === "HEAD"));
}
