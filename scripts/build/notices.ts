/** The licences of what is bundled, as they ask: their texts go where their code goes. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const LICENCE = /^(licen[cs]e|copying|notice)/i;

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/**
 * @param files what was bundled, by absolute paths
 * @returns one text with a section for each package
 * @throws where the licence of a package has no text: then it must not be bundled before somebody has looked
 */
export function licenceNotices(files: readonly string[]): string {
  const folders = new Set(files.filter((file) => file.includes("/node_modules/")).map((file) => packageFolder(file)));
  const sections = [...folders].map((folder) => {
    const manifest = readManifest(folder);
    return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${licenceTexts(folder, manifest).join("\n\n")}\n`;
  });
  const rule = `\n${"-".repeat(80)}\n\n`;
  return `The built program contains these packages, each under its own licence.\n${rule}${sections.sort().join(rule)}`;
}

function licenceTexts(folder: string, { name, license, author }: Manifest): readonly string[] {
  const texts = readdirSync(folder).filter((file) => LICENCE.test(file));
  if (texts.length > 0) return texts.map((file) => readFileSync(join(folder, file), "utf8").trim());
  // Some name the licence and its holder, and leave the words to others.
  if (license === "MIT" && author !== undefined)
    return [`Copyright (c) ${typeof author === "string" ? author : author.name}\n\n${MIT}`];
  throw new Error(`${name} is bundled, and has no text of its licence (${license})`);
}

/** The nearest one with a name and a version: packages have other package.json files inside, which say `type` and no more. */
function packageFolder(file: string): string {
  let folder = dirname(file);
  while (!isPackage(folder)) folder = dirname(folder);
  return folder;
}

function isPackage(folder: string): boolean {
  if (!existsSync(join(folder, "package.json"))) return false;
  const { name, version } = readManifest(folder);
  return name !== undefined && version !== undefined;
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}
