/** Where a request goes under the base URL, and which paths are refused because they could lead out of it. */
import { Failure } from "../core/failure.ts";

/** Clients say `/v1/x` for what the configured base URL calls `/x`. */
export const MOUNT = "/v1";

/**
 * @param url the request target as received, such as `/v1/models?limit=2`.
 * @returns path and query under the base URL.
 * @throws Failure `invalid_request` for dot segments in any spelling, which an upstream might resolve above its base path.
 */
export function toUpstreamPath(url: string): string {
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  for (const segment of path.split(/[/\\]|%2f|%5c/i)) {
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "." || plain === "..") throw new Failure("invalid_request", "The path must not contain dot segments.");
  }
  if (path.includes("\\") || path.includes("#")) throw new Failure("invalid_request", "The path holds a character that URLs do not allow.");
  return url.slice(MOUNT.length);
}
