import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { readPage } from "./page-files.ts";

it("reads the page as it was built, with each file's type, and locked as well", () => {
  const folder = mkdtempSync(join(tmpdir(), "perennial-page-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(readPage(folder)).toBeUndefined();
  mkdirSync(join(folder, "dashboard"));
  writeFileSync(join(folder, "index.html"), '<html data-locked="no">é');
  const types = {
    "a.js": "text/javascript; charset=utf-8",
    "b.css": "text/css; charset=utf-8",
    "c.svg": "image/svg+xml",
    "d.bin": "application/octet-stream",
  };
  for (const name of Object.keys(types)) writeFileSync(join(folder, "dashboard", name), name);
  const page = readPage(folder);
  expect([String(page?.open), String(page?.locked)]).toEqual(['<html data-locked="no">é', '<html data-locked="yes">é']);
  const files = [...(page?.files ?? [])].map(([name, { type, body }]) => [name, type, String(body)]);
  expect(files.sort()).toEqual(Object.entries(types).map(([name, type]) => [name, type, name]));
});
