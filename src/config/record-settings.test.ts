import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { ConfigError } from "./config-error.ts";
import { prepareRecordFolder } from "./record-settings.ts";

it("makes the folder for captures, for nobody else to read, and says at once where it cannot be", () => {
  const home = mkdtempSync(join(tmpdir(), "perennial-record-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const prepare = (dir: string): string => {
    try {
      prepareRecordFolder({ dir, texts: false, maxFiles: 1, maxFileBytes: 1 });
      return "";
    } catch (error) {
      return (error as ConfigError).problems.join().replaceAll(home, "");
    }
  };
  const dir = join(home, "captures");
  expect([prepare(dir), prepare(dir)]).toEqual(["", ""]);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  writeFileSync(join(home, "file"), "");
  expect(prepare(join(home, "file"))).toBe("record.dir: /file: cannot be written to (ENOTDIR)");
  expect(prepare(join(home, "a/b"))).toBe("record.dir: /a/b: cannot be written to (ENOENT)");
  // To root nothing is closed.
  chmodSync(dir, 0o500);
  if (process.getuid?.() !== 0) expect(prepare(dir)).toBe("record.dir: /captures: cannot be written to (EACCES)");
  expect(() => prepareRecordFolder(false)).not.toThrow();
});
