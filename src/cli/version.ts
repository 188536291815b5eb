/** The version of this program, from its package.json. */
import { readFileSync } from "node:fs";
import { findPackageFolder } from "../core/package-folder.ts";

export function readVersion(): string {
  const folder = findPackageFolder();
  if (folder === undefined) return "unknown";
  return (JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as { version: string }).version;
}
