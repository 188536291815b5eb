/** Where a request goes under the base URL, and which paths are refused because they could lead out of it. */
import { Failure } from "../core/failure.ts";

/** What stands before the upstream's paths: `/v1` for clients that say `/v1/x` for `{baseUrl}/x`, nothing for servers without it. */
export type Mount = "/v1" | "/";

export interface RequestPath {
  /** Under the base URL, as the client spelled it, but for doubled slashes. */
  readonly path: string;
  /** The same in plain characters and without a slash at the end, to look it up by. */
  readonly plain: string;
  /** From the question mark on; empty without one. */
  readonly query: string;
}

/**
 * @param url the request target as received, such as `/v1/models?limit=2`.
 * @param bare beginnings of paths that need no mount before them.
 * @throws Failure `not_found` for what is not under the mount; `invalid_request` for dot segments in any spelling, which an
 * upstream might resolve above its base path, and for a target with a host in it: where requests go is never the client's choice.
 */
export function readRequestPath(url: string, mount: Mount, bare: readonly string[] = []): RequestPath {
  const mark = url.indexOf("?");
  const whole = (mark === -1 ? url : url.slice(0, mark)).replace(/\/{2,}/g, "/");
  const query = mark === -1 ? "" : url.slice(mark);
  if (!whole.startsWith("/")) throw new Failure("invalid_request", "The request target must be a path.");
  for (const segment of whole.split(/[/\\]|%2f|%5c/i)) {
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "." || plain === "..") throw new Failure("invalid_request", "The path must not contain dot segments.");
  }
  if (/[\\#]/.test(whole)) throw new Failure("invalid_request", "The path holds a character that URLs do not allow.");
  const prefix = mount === "/" || bare.some((start) => whole.startsWith(start)) ? "" : mount;
  if (!whole.startsWith(`${prefix}/`)) {
    throw new Failure("not_found", `There is nothing at ${whole}. Models are served under ${mount}${mount === "/" ? "" : "/"}.`);
  }
  const path = whole.slice(prefix.length);
  return { path, plain: toPlain(path), query };
}

function toPlain(path: string): string {
  try {
    return decodeURIComponent(path).replace(/(?<=.)\/+$/, "");
  } catch {
    throw new Failure("invalid_request", "The path is not spelled as URLs are.");
  }
}
