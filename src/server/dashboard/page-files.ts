/** The dashboard's page as it was built: a few files, read once and served from memory. */
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { findPackageFolder } from "../../core/package-folder.ts";

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

export interface Page {
  /** What a browser that may look gets, and what one gets that must first present a key. */
  readonly open: Buffer;
  readonly locked: Buffer;
  /** Scripts, styles and pictures by their names, which change with their content. */
  readonly files: ReadonlyMap<string, PageFile>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** What the last build made, also where the sources run as they are. */
function builtFolder(): string {
  return fileURLToPath(new URL("dist/dashboard/", findPackageFolder() ?? import.meta.url));
}

/** @returns undefined where it was not built. */
export function readPage(folder = builtFolder()): Page | undefined {
  try {
    const html = readFileSync(`${folder}/index.html`, "utf8");
    const names = readdirSync(`${folder}/dashboard`);
    return {
      open: Buffer.from(html),
      locked: Buffer.from(html.replace('data-locked="no"', 'data-locked="yes"')),
      files: new Map(names.map((name) => [name, readPageFile(`${folder}/dashboard/${name}`)])),
    };
  } catch {
    return undefined;
  }
}

function readPageFile(path: string): PageFile {
  return { type: TYPES[extname(path)] ?? "application/octet-stream", body: readFileSync(path) };
}
