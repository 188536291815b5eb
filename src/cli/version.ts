/** The version of this program, from its package.json. */
import { existsSync, readFileSync } from "node:fs";

/** Looks upward from this file, since the built program lies at another depth than the source. */
export function readVersion(): string {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const file = new URL("package.json", folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
    if (folder.pathname === new URL("..", folder).pathname) return "unknown";
  }
}
