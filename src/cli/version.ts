/** The version of this program, from its package.json. */
import { existsSync, readFileSync } from "node:fs";
import { getAsset, isSea } from "node:sea";

/** Where the single-file executable keeps it. */
export const VERSION_ASSET = "version";

/** Looks upward from this file, since the built program lies at another depth than the source. */
export function readVersion(): string {
  if (isSea()) return getAsset(VERSION_ASSET, "utf8");
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const file = new URL("package.json", folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
    if (folder.pathname === new URL("..", folder).pathname) return "unknown";
  }
}
