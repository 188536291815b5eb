/** The paths at which an upstream speaks a known API. */
import type { Dialect } from "../core/dialect.ts";
import { isJsonRoute } from "../dialect/json-routes.ts";
import { CHATCHAT_ROUTES, OPENAI_ROUTES, type Route } from "../dialect/registry.ts";

/** The APIs that an upstream can be said to speak. */
export const APIS = ["openai", "azure", "anthropic", "chatchat"] as const;

type Api = (typeof APIS)[number];

const ROUTES: Readonly<Record<Api, readonly Route[]>> = {
  openai: OPENAI_ROUTES,
  azure: OPENAI_ROUTES,
  anthropic: OPENAI_ROUTES,
  chatchat: CHATCHAT_ROUTES,
};

/** The prefix under which clients reach an upstream's paths. */
export type Mount = "/v1" | "/";

/** What decides on an upstream's paths. */
export interface Served {
  readonly api: Api;
  readonly mount: Mount;
}

/** What is served where no upstream is configured. */
export const SANDBOX_SERVES: Served = { api: "openai", mount: "/v1" };

/** Where one upstream speaks a known API, each path under its mount. */
export function routesOf({ api }: Served): readonly Route[] {
  return ROUTES[api];
}

/** Where a model answers a question, as clients ask for it. */
export function clientPathsOf(served: Served): string[] {
  const asksModel = ({ dialect }: Route): boolean => !isJsonRoute(dialect);
  return routesOf(served)
    .filter(asksModel)
    .map(({ path }) => joinPath(served.mount, path));
}

/** What clients can reach through all upstreams together: the widest mount, and the dialects by their paths under it. */
export interface ClientRoutes {
  readonly mount: Mount;
  readonly dialects: ReadonlyMap<string, Dialect>;
}

/** @param upstreams in the order of preference: of two that speak different dialects at one path, the first one's counts. */
export function uniteRoutes(upstreams: readonly Served[]): ClientRoutes {
  const mount = upstreams.every((served) => served.mount === "/v1") ? "/v1" : "/";
  const dialects = new Map<string, Dialect>();
  for (const served of upstreams) {
    for (const { path, dialect } of routesOf(served)) {
      const under = served.mount === mount ? path : joinPath(served.mount, path);
      if (!dialects.has(under)) dialects.set(under, dialect);
    }
  }
  return { mount, dialects };
}

function joinPath(mount: Mount, path: string): string {
  return mount === "/" ? path : mount + path;
}
