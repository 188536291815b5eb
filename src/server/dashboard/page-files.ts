/** The dashboard's page as it was built: a few files, read once and served from memory. */
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { getAsset, isSea } from "node:sea";
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

/** The whole page as one asset of the single-file executable: `html`, and `files` by name, in base64. */
export const PAGE_ASSET = "page.json";

/** @returns undefined where it was not built. */
export function readPage(folder = builtFolder()): Page | undefined {
  try {
    if (isSea()) return readAsset();
    const names = readdirSync(`${folder}/dashboard`);
    const files = names.map((name) => [name, readFileSync(`${folder}/dashboard/${name}`)] as const);
    return pageOf(readFileSync(`${folder}/index.html`, "utf8"), files);
  } catch {
    return undefined;
  }
}

function readAsset(): Page {
  const { html, files } = JSON.parse(getAsset(PAGE_ASSET, "utf8")) as { html: string; files: Record<string, string> };
  return pageOf(
    html,
    Object.entries(files).map(([name, base64]) => [name, Buffer.from(base64, "base64")]),
  );
}

function pageOf(html: string, files: readonly (readonly [name: string, body: Buffer])[]): Page {
  const typed = ([name, body]: (typeof files)[number]): [string, PageFile] => {
    return [name, { type: TYPES[extname(name)] ?? "application/octet-stream", body }];
  };
  return {
    open: Buffer.from(html),
    locked: Buffer.from(html.replace('data-locked="no"', 'data-locked="yes"')),
    files: new Map(files.map(typed)),
  };
}
