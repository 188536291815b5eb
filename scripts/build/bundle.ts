/** Makes the sources into few files: the program with all that it needs, and what other programs import with its dependencies left to npm. */
import { readFileSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { type OutputChunk, type RolldownOptions, rolldown } from "rolldown";

export interface Bundle {
  /** Names of the built files, and the sources that they are made of. */
  readonly entries: Readonly<Record<string, string>>;
  /** The folder of the pieces that entries share, or load only when they need them. */
  readonly pieces: string;
  /** Libraries that are imported, and not taken in. */
  readonly imported: readonly string[];
}

const BUILT_IN: ReadonlySet<string> = new Set(builtinModules);

/**
 * White space goes, names stay: a stack in the log must still say where it was. The maps hold no sources; they lead to files and lines.
 * @returns the files that were taken in, by their absolute paths.
 */
export async function bundle({ entries, pieces, imported }: Bundle, dist: string): Promise<readonly string[]> {
  const isImported = (id: string): boolean => imported.some((name) => id === name || id.startsWith(`${name}/`));
  const options: RolldownOptions = {
    input: { ...entries },
    platform: "node",
    external: (id) => id.startsWith("node:") || BUILT_IN.has(id) || isImported(id),
    onLog(level, log) {
      if (level !== "debug") throw new Error(`rolldown: ${log.message}`);
    },
  };
  await using built = await rolldown(options);
  const { output } = await built.write({
    dir: dist,
    format: "esm",
    sourcemap: true,
    minify: { mangle: false, compress: true, codegen: { removeWhitespace: true } },
    entryFileNames: "[name].js",
    chunkFileNames: join(pieces, "[name].js"),
  });
  for (const { fileName } of output) if (fileName.endsWith(".map")) leaveSourcesOut(join(dist, fileName));
  const chunks = output.filter((file): file is OutputChunk => file.type === "chunk");
  return chunks.flatMap(({ modules }) => Object.keys(modules));
}

function leaveSourcesOut(file: string): void {
  const { sourcesContent: _, ...map } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify(map));
}
