/** Where a request goes under the base URL, and which paths are refused because they could lead out of it. */
import { Failure } from "../core/failure.ts";

/** Clients say `/v1/x` for what the configured base URL calls `/x`. */
export const MOUNT = "/v1";

/**
 * @param url the request target as received, such as `/v1/models?limit=2`.
 * @returns path and query under the base URL.
 * @throws Failure `invalid_request` for dot segments in any spelling, which an upstream might resolve above its base path,
 * and for a target with a host in it: where requests go is never the client's choice.
 */
export function toUpstreamPath(url: string): string {
  const mark = url.indexOf("?");
  const path = (mark === -1 ? url : url.slice(0, mark)).replace(/\/{2,}/g, "/");
  if (!path.startsWith(`${MOUNT}/`)) throw new Failure("invalid_request", `The request target must begin with ${MOUNT}/.`);
  for (const segment of path.split(/[/\\]|%2f|%5c/i)) {
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "." || plain === "..") throw new Failure("invalid_request", "The path must not contain dot segments.");
  }
  if (/[\\#]/.test(path)) throw new Failure("invalid_request", "The path holds a character that URLs do not allow.");
  return path.slice(MOUNT.length) + (mark === -1 ? "" : url.slice(mark));
}
