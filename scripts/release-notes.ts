/** Prints the part of CHANGELOG.md that belongs to one version: `node scripts/release-notes.ts 0.1.0`. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** @throws when that version has no part, an empty one, or one that is still called unreleased. */
export function releaseNotes(changelog: string, version: string): string {
  const parts = changelog.split(/^## /m).slice(1);
  const part = parts.find((text) => text.split(/\s/, 1)[0] === version);
  if (part === undefined) throw new Error(`CHANGELOG.md has no part "## ${version}".`);
  const [title = "", ...lines] = part.split("\n");
  if (/unreleased/i.test(title)) throw new Error(`CHANGELOG.md calls ${version} unreleased: give it its date.`);
  const notes = lines.join("\n").trim();
  if (notes === "") throw new Error(`CHANGELOG.md says nothing of ${version}.`);
  return notes;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [version = ""] = process.argv.slice(2);
  try {
    console.log(releaseNotes(readFileSync(new URL("../CHANGELOG.md", import.meta.url), "utf8"), version));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
