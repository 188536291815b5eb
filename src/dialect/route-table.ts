/** The dialects by the paths at which they are spoken; `{name}` in a path is whatever a client puts there. */
import type { Dialect } from "../core/dialect.ts";

export interface FoundRoute {
  readonly dialect: Dialect;
  /** A name of the client's stands in the path: only its own spelling of that is right. */
  readonly isNamed: boolean;
}

export class RouteTable {
  readonly #plain = new Map<string, Dialect>();
  readonly #named: { readonly path: string; readonly pattern: RegExp; readonly dialect: Dialect }[] = [];

  constructor(routes: readonly { readonly path: string; readonly dialect: Dialect }[] = []) {
    for (const { path, dialect } of routes) this.add(path, dialect);
  }

  /** Of two dialects at one path the first one's counts. */
  add(path: string, dialect: Dialect): void {
    if (this.paths.includes(path)) return;
    if (!path.includes("{name}")) this.#plain.set(path, dialect);
    else this.#named.push({ path, dialect, pattern: new RegExp(`^${path.split("{name}").map(asPattern).join("[^/]+")}$`) });
  }

  get paths(): string[] {
    return [...this.#plain.keys(), ...this.#named.map(({ path }) => path)];
  }

  /** @param path in plain characters. */
  find(path: string): FoundRoute | undefined {
    const dialect = this.#plain.get(path);
    if (dialect !== undefined) return { dialect, isNamed: false };
    const named = this.#named.find(({ pattern }) => pattern.test(path));
    return named && { dialect: named.dialect, isNamed: true };
  }
}

function asPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
