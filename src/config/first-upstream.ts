/** Environment variables and flags speak of one upstream: the first of the list. */

const FIRST = 0;

/** The path of one of its settings, as the schema names it. */
export function pathInFirstUpstream(key: "baseUrl" | "apiKey" | "apiKeys" | "profile"): readonly (string | number)[] {
  return ["upstreams", FIRST, key];
}

/** The first upstream of a file that has not been validated; an empty one where there is none. */
export function firstUpstreamIn(values: unknown): {
  readonly baseUrl?: unknown;
  readonly apiKey?: unknown;
  readonly apiKeys?: unknown;
} {
  const { upstreams } = (values ?? {}) as { upstreams?: unknown };
  return (Array.isArray(upstreams) && (upstreams[FIRST] as object | null)) || {};
}
