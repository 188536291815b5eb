import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileCacheIn } from "./compile-cache.ts";

test("compiled code is kept beside the program, but not in a folder of somebody else's", () => {
  const folder = mkdtempSync(join(tmpdir(), "perennial-cache-"));
  const { uid } = statSync(folder);
  expect(compileCacheIn(folder, uid)).toBe(join(folder, ".cache"));
  expect(compileCacheIn(folder, undefined)).toBe(join(folder, ".cache"));
  expect(compileCacheIn(folder, uid + 1)).toBeUndefined();
  rmSync(folder, { recursive: true });
});
