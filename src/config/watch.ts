/** Notices that the configuration file has changed, however it was changed. */
import { createHash } from "node:crypto";
import { readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** Editors write in several steps; the last one counts. In milliseconds. */
const SETTLE_MS = 200;

export interface ConfigWatch {
  close(): void;
}

/**
 * Watches the folder, not the file: editors put a new file in the old one's place, and Kubernetes swaps a link (`..data`)
 * beside it; a watch on the file itself would stay with the old one.
 * @param onChange called when the content is another; also when the file has gone.
 * @throws when the folder cannot be watched
 */
export function watchConfig(file: string, onChange: () => void): ConfigWatch {
  const name = basename(file);
  let seen = fingerprint(file);
  let timer: NodeJS.Timeout | undefined;

  const watcher = watch(dirname(file), { persistent: false }, (_event, changed) => {
    // Not every system says what has changed.
    if (changed !== null && changed !== name && !changed.startsWith("..")) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const now = fingerprint(file);
      if (now === seen) return;
      seen = now;
      onChange();
    }, SETTLE_MS).unref();
  });
  // The folder itself has gone: there is nothing left to notice.
  watcher.on("error", () => watcher.close());

  return {
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** A digest, since the content holds keys that need not lie about in memory once more. */
function fingerprint(file: string): string | undefined {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("base64");
  } catch {
    return undefined;
  }
}
