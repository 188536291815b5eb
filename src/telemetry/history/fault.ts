/** Whose fault a failure is, in the sense of: who has to do something about it. */
import { FAILURES, type FailureCode } from "../../core/failure.ts";
import type { Fault } from "./view.ts";

/** Refusals that the request has brought on itself; the others are limits of ours. */
const OF_THE_REQUEST: ReadonlySet<FailureCode> = new Set([
  "unauthorized",
  "invalid_request",
  "body_too_large",
  "not_found",
  "stream_gone",
]);

/** What an upstream says of itself, though its number says that the request is to blame. */
const OF_THE_UPSTREAM: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** @param status what the upstream answered, if it did. */
export function faultOf(code: FailureCode, status?: number): Fault {
  if (OF_THE_REQUEST.has(code)) return "request";
  const { source } = FAILURES[code];
  if (source === "downstream") return "client";
  if (source === "internal") return "perennial";
  const refused = code === "upstream_status" && status !== undefined && status >= 400 && status < 500;
  return refused && !OF_THE_UPSTREAM.has(status) ? "request" : "upstream";
}
