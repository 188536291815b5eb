/** At which paths a configured upstream is asked in a dialect that Perennial knows. */
import { CHATCHAT_ROUTES, OPENAI_ROUTES, type Route } from "../dialect/registry.ts";

/** What matters of an upstream here; undefined for the sandbox. */
type UpstreamKind = { readonly profile: string; readonly mount: string } | undefined;

/** Its dialects by path, under the mount. */
export function routesOf(upstream: UpstreamKind): readonly Route[] {
  return upstream?.profile === "chatchat" ? CHATCHAT_ROUTES : OPENAI_ROUTES;
}

/** The same paths as clients ask for them. */
export function askedPathsOf(upstream: UpstreamKind): string[] {
  const mount = upstream?.mount ?? "/v1";
  return routesOf(upstream).map(({ path }) => (mount === "/" ? path : mount + path));
}
