/** Where a request goes under the base URL, and which paths are refused because they could lead out of it. */
import { Failure } from "../core/failure.ts";

/** The prefix under which clients reach the upstream's paths: `/v1` for clients that say `/v1/x` for `{baseUrl}/x`, nothing for servers without it. */
export type Mount = "/v1" | "/";

export interface RequestPath {
  /** Under the base URL, as the client spelled it, but for doubled slashes. */
  readonly path: string;
  /** The same in plain characters and without a slash at the end. */
  readonly plain: string;
  /** By what its dialect is looked up: `plain`, without a `/v1` that its client has said twice. */
  readonly route: string;
  /** From the question mark on; empty without one. */
  readonly query: string;
}

export interface PathRules {
  readonly mount: Mount;
  /** The path of the base URL. */
  readonly basePath?: string;
  /** Beginnings of paths that need no mount before them. */
  readonly bare?: readonly string[];
}

/** A name is decoded once by each server on the way: more than so many encodings are far above any real request. */
const MAX_DECODINGS = 4;

/**
 * @param url the request target as received, such as `/v1/models?limit=2`.
 * @throws Failure `not_found` for what is not under the mount; `invalid_request` for dot segments in any spelling, which an
 * upstream might resolve above its base path, and for a target with a host in it: where requests go is never the client's choice.
 */
export function readRequestPath(url: string, { mount, basePath = "", bare = [] }: PathRules): RequestPath {
  const mark = url.indexOf("?");
  const whole = (mark === -1 ? url : url.slice(0, mark)).replace(/\/{2,}/g, "/");
  const query = mark === -1 ? "" : url.slice(mark);
  if (!whole.startsWith("/")) throw new Failure("invalid_request", "The request target must be a path.");
  if (/[\\#]/.test(whole)) throw new Failure("invalid_request", "The path holds a character that URLs do not allow.");
  refuseWaysOut(whole);
  const prefix = mount === "/" || bare.some((start) => whole.startsWith(start)) ? "" : mount;
  if (!whole.startsWith(`${prefix}/`)) {
    throw new Failure("not_found", `There is nothing at ${whole}. Models are served under ${mount}/.`);
  }
  const path = whole.slice(prefix.length);
  const plain = toPlain(path);
  if (mount === "/" || !path.startsWith("/v1/")) return { path, plain, route: plain, query };
  // A client that was told `…/v1` and adds its own, as Claude Code does. The upstream has it once, wherever it stands.
  const route = plain.slice("/v1".length);
  return /\/v1\/?$/.test(basePath)
    ? { path: path.slice("/v1".length), plain: route, route, query }
    : { path, plain, route, query };
}

/** A server behind may decode what the one before it has decoded already, and cut off `;` and what follows. */
function refuseWaysOut(path: string): void {
  let text = path;
  for (let decodings = 0; ; decodings++) {
    if ([...text].some(isTreacherous)) {
      throw new Failure("invalid_request", "The path holds a character that URLs do not allow.");
    }
    if (text.split(/[/\\]/).some((segment) => /^\s*\.\.?\s*(;.*)?$/.test(segment))) {
      throw new Failure("invalid_request", "The path must not contain dot segments.");
    }
    const decoded = text.replace(/%([0-9a-f]{2})/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (decoded === text) return;
    if (decodings === MAX_DECODINGS) throw new Failure("invalid_request", "The path is encoded too many times.");
    text = decoded;
  }
}

/** Control characters are dropped by some parsers, so that `.%09.` becomes `..`; C0 and C1 begin spellings of a dot that are too long. */
function isTreacherous(character: string): boolean {
  const code = character.charCodeAt(0);
  return code < 0x20 || code === 0x7f || code === 0xc0 || code === 0xc1;
}

function toPlain(path: string): string {
  try {
    return decodeURIComponent(path).replace(/(?<=.)\/+$/, "");
  } catch {
    throw new Failure("invalid_request", "The path is not spelled as URLs are.");
  }
}
