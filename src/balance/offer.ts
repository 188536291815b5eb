/** What each upstream serves, and so which of them are candidates for a request: by its path, its dialect and its model. */
import type { Dialect } from "../core/dialect.ts";
import type { Candidate } from "./candidate.ts";

/** An upstream, and what it serves. */
export interface Offer extends Omit<Candidate, "model" | "path" | "rate"> {
  readonly serves: Serves;
  readonly names: ModelNames;
}

export interface Serves {
  /**
   * Where a path is asked, under the upstream's base URL; undefined where it has none of that name.
   * @param path as clients ask, without the query.
   */
  pathOf(path: string): string | undefined;
  /** It speaks this dialect at the path; or, where the dialect is not known, what is there may be there as well. */
  speaks(path: string, dialect: Dialect | undefined): boolean;
  /** This dialect is the upstream's own, so that it is asked before those that may imitate it. */
  isNative(dialect: Dialect): boolean;
}

export interface ModelNames {
  /** What the upstream calls the models of these names; `*` is any. */
  readonly map: Readonly<Record<string, string>>;
  /** It serves these names alone, where `*` stands for any characters; undefined for all. */
  readonly only: readonly string[] | undefined;
}

/** What is asked. */
export interface Asked {
  /** With its query. */
  readonly path: string;
  readonly dialect: Dialect | undefined;
  readonly model: string | undefined;
}

/** Those that can serve a request, in the order of the configuration. */
export function candidatesFor(offers: readonly Offer[], { path, dialect, model }: Asked): readonly Candidate[] {
  const mark = path.indexOf("?");
  const plain = mark === -1 ? path : path.slice(0, mark);
  const query = path.slice(plain.length);
  const reachable = offers.flatMap((offer) => {
    const own = offer.serves.pathOf(plain);
    return own === undefined ? [] : [{ offer, own, path: own === plain ? undefined : own + query }];
  });
  const speaking = reachable.filter(({ offer, own }) => offer.serves.speaks(own, dialect));
  const native = speaking.filter(({ offer }) => dialect === undefined || offer.serves.isNative(dialect));
  // Whatever can be told of a path by its looks: one of them has made it a known one.
  const likeliest = [native, speaking].find((list) => list.length > 0) ?? reachable;
  return likeliest.flatMap(({ offer, path }) => {
    const { serves: _serves, names, ...candidate } = offer;
    const known = nameOf(names, model);
    return known === undefined ? [] : [{ ...candidate, path, model: known.name === model ? undefined : known.name }];
  });
}

/** Whether an upstream may be asked for a model of its own by the name that it lists. */
export function servesModel(names: ModelNames, model: string): boolean {
  return nameOf(names, model) !== undefined;
}

/** Under which name an upstream knows a model; undefined where it does not serve it. */
function nameOf({ map, only }: ModelNames, model: string | undefined): { readonly name: string | undefined } | undefined {
  if (model === undefined) return { name: undefined };
  if (Object.hasOwn(map, model)) return { name: map[model] };
  if (only !== undefined && !only.some((pattern) => matchesName(pattern, model))) return undefined;
  return { name: Object.hasOwn(map, "*") ? map["*"] : model };
}

/** @param pattern in which `*` stands for any characters. */
export function matchesName(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}
