/** Where this package lies: the built program is few files at another depth than the sources, and what it brings beside them is found from here. */
import { existsSync } from "node:fs";

/** @returns the folder of our package.json as a URL that ends with a slash; undefined where the program was taken out of its package. */
export function findPackageFolder(): URL | undefined {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    if (existsSync(new URL("package.json", folder))) return folder;
    if (folder.pathname === new URL("..", folder).pathname) return undefined;
  }
}
