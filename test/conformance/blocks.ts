/** What a run writes into the documents: tables and figures, between markers. The words around them are the pages' own. */
import { readFile, writeFile } from "node:fs/promises";

/** The blocks of each page, by the name in their markers. */
export type Pages<Run> = Readonly<Record<string, Readonly<Record<string, (run: Run) => string>>>>;

/** @returns the files written. @throws when a file has lost a marker; then none is written */
export async function writeBlocks<Run>(pages: Pages<Run>, run: Run): Promise<string[]> {
  const written: [URL, string][] = [];
  for (const [path, blocks] of Object.entries(pages)) {
    const file = new URL(`../../${path}`, import.meta.url);
    let text = await readFile(file, "utf8");
    for (const [name, render] of Object.entries(blocks)) text = replaceBlock(text, name, render(run));
    written.push([file, text]);
  }
  for (const [file, text] of written) await writeFile(file, text);
  return Object.keys(pages);
}

/** @throws when the text has no such block */
export function replaceBlock(text: string, name: string, content: string): string {
  const parts = text.split(new RegExp(`(<!-- ${name}:[^>]*-->\\n).*?(<!-- /${name} -->)`, "s"));
  if (parts.length !== 4) throw new Error(`there is no block <!-- ${name}: … --> … <!-- /${name} -->`);
  const [before, opening, closing, after] = parts;
  return `${before}${opening}\n${content}\n\n${closing}${after}`;
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
