/** What V8 has compiled is kept for the next start, which then takes a fifth less CPU. */
import { accessSync, constants, statSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * It lies beside the program, since whoever can write there can change the program as well: in a folder that all share, such as /tmp, another user could put code
 * into it. Where nothing can be written, nothing is kept. `NODE_COMPILE_CACHE` names another folder, and `NODE_DISABLE_COMPILE_CACHE=1` turns it
 * off: both are Node's own.
 * @param program the URL of the file that was started; sources that run as they are leave nothing beside them
 */
export function keepCompiledCode(program: string): void {
  if (!program.endsWith(".js")) return;
  const folder = compileCacheIn(dirname(fileURLToPath(program)), process.getuid?.());
  if (folder !== undefined) enableCompileCache(folder);
}

/** @param uid whose process this is; undefined where users have no numbers. @returns undefined where nothing shall be kept. */
export function compileCacheIn(folder: string, uid: number | undefined): string | undefined {
  // What root left in a checkout of somebody else's would keep its owner from building again.
  if (uid !== undefined && statSync(folder).uid !== uid && isWritable(folder)) return undefined;
  return join(folder, ".cache");
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
