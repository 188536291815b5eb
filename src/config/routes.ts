/** The paths at which an upstream speaks a known API. */
import type { Serves } from "../balance/offer.ts";
import type { Dialect } from "../core/dialect.ts";
import { anthropicMessages } from "../dialect/anthropic-messages.ts";
import { isJsonRoute } from "../dialect/json-routes.ts";
import { AZURE_ROUTES, CHATCHAT_ROUTES, OPENAI_ROUTES, type Route } from "../dialect/registry.ts";
import { RouteTable } from "../dialect/route-table.ts";

/** The APIs that an upstream can be said to speak. */
export const APIS = ["openai", "azure", "anthropic", "chatchat"] as const;

type Api = (typeof APIS)[number];

const ROUTES: Readonly<Record<Api, readonly Route[]>> = {
  openai: OPENAI_ROUTES,
  azure: AZURE_ROUTES,
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

/** Azure's clients name the resource, and put `/openai` before all that they ask of it: there is no `/v1` in front of that. */
const BARE: Readonly<Record<Api, readonly string[]>> = { openai: [], azure: ["/openai/"], anthropic: [], chatchat: [] };

/** Where a model answers a question, as clients ask for it. */
export function clientPathsOf(served: Served): string[] {
  return new RouteTable(clientRoutesOf(served).filter(({ dialect }) => !isJsonRoute(dialect))).paths;
}

/** Whether clients ask for it in a dialect that is known. @param path may have a query. */
export function isClientPath(served: Served, path: string): boolean {
  return new RouteTable(clientRoutesOf(served)).find(path.split("?", 1)[0] ?? "") !== undefined;
}

function clientRoutesOf(served: Served): Route[] {
  return routesOf(served).flatMap(({ path, dialect }) => {
    const isBare = bareOf(served).some((start) => path.startsWith(start));
    return [joinPath(served.mount, path), ...(isBare ? [path] : [])].map((asked) => ({ path: asked, dialect }));
  });
}

/** Beginnings of its paths that clients ask for without the mount as well. */
export function bareOf({ api, mount }: Served): readonly string[] {
  return mount === "/" ? [] : BARE[api];
}

/** What is asked at a path under its mount. */
export function dialectAt(served: Served, path: string): Dialect | undefined {
  return new RouteTable(routesOf(served)).find(path)?.dialect;
}

/**
 * @param mount under which clients reach all upstreams together.
 * @returns where this upstream serves which of their paths, as the balance asks.
 */
export function servesOf(served: Served, mount: Mount): Serves {
  const table = new RouteTable(routesOf(served));
  return {
    pathOf: (path) => ownPath(served, mount, path),
    speaks(path, dialect) {
      // Azure's clients alone ask so, and others would not know what it is.
      if (dialect === undefined) return !path.startsWith("/openai/") || served.mount === "/" || bareOf(served).length > 0;
      const asked = plainPath(path);
      const { name, operation } = dialect;
      return [asked, asked.replace(/^\/v1(?=\/)/, "")].some((each) => {
        const own = table.find(each)?.dialect;
        return own?.name === name && own.operation === operation;
      });
    },
    isNative: (dialect) => served.api !== "anthropic" || dialect === anthropicMessages || dialect.operation === "count_tokens",
  };
}

/** A path under the mount of all as it is under an upstream's own: where one has none, clients say `/v1` to all. */
function ownPath(served: Served, all: Mount, path: string): string | undefined {
  if (served.mount === all || bareOf(served).some((start) => path.startsWith(start))) return path;
  return path.startsWith("/v1/") ? path.slice("/v1".length) : undefined;
}

function plainPath(path: string): string {
  try {
    return decodeURIComponent(path).replace(/(?<=.)\/+$/, "");
  } catch {
    return path;
  }
}

/** What clients can reach through all upstreams together: the widest mount, and the dialects by their paths under it. */
export interface ClientRoutes {
  readonly mount: Mount;
  /** Beginnings of paths that are served without the mount as well. */
  readonly bare: readonly string[];
  readonly routes: RouteTable;
}

/** @param upstreams in the order of preference: of two that speak different dialects at one path, the first one's counts. */
export function uniteRoutes(upstreams: readonly Served[]): ClientRoutes {
  const mount = upstreams.every((served) => served.mount === "/v1") ? "/v1" : "/";
  const bare = mount === "/" ? [] : [...new Set(upstreams.flatMap(bareOf))];
  const routes = new RouteTable();
  for (const served of upstreams) {
    // Under /v1 a path is looked up without it, which is how a bare one is spelled as well.
    const asked = mount === "/" ? clientRoutesOf(served) : routesOf(served);
    for (const { path, dialect } of asked) routes.add(path, dialect);
  }
  return { mount, bare, routes };
}

function joinPath(mount: Mount, path: string): string {
  return mount === "/" ? path : mount + path;
}
