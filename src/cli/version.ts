/** The version of this program, from its package.json. */
import { readFileSync } from "node:fs";
import { getAsset, isSea } from "node:sea";
import { findPackageFolder } from "../core/package-folder.ts";

/** Where the single-file executable keeps it. */
export const VERSION_ASSET = "version";

export function readVersion(): string {
  if (isSea()) return getAsset(VERSION_ASSET, "utf8");
  const folder = findPackageFolder();
  if (folder === undefined) return "unknown";
  return (JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as { version: string }).version;
}
