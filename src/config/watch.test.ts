import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type ConfigWatch, watchConfig } from "./watch.ts";

let folder: string;
let file: string;
let watching: ConfigWatch | undefined;
const onChange = vi.fn();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "perennial-watch-"));
  file = join(folder, "perennial.yaml");
  onChange.mockClear();
});
afterEach(() => {
  watching?.close();
  rmSync(folder, { recursive: true });
});

/** Long enough for a change to settle and to be told. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 400));
const told = (times = 1) => expect.poll(() => onChange.mock.calls.length, { interval: 10 }).toBe(times);

function start(): void {
  writeFileSync(file, "port: 1\n");
  watching = watchConfig(file, onChange);
}

it("tells of a file that is written in place, once for several writes", async () => {
  start();
  writeFileSync(file, "");
  writeFileSync(file, "port: 2\n");
  await told();
  await quiet();
  expect(onChange).toHaveBeenCalledTimes(1);
  writeFileSync(file, "port: 3\n");
  await told(2);
});

it("tells of a file that takes the old one's place, again and again", async () => {
  start();
  for (const times of [1, 2]) {
    writeFileSync(join(folder, ".perennial.yaml.swp"), `port: ${times + 1}\n`);
    renameSync(join(folder, ".perennial.yaml.swp"), file);
    await told(times);
  }
});

it("tells when Kubernetes swaps the link to a config map", async () => {
  for (const version of ["1", "2"]) {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, "perennial.yaml"), `port: ${version}\n`);
  }
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync(join("..data", "perennial.yaml"), file);
  watching = watchConfig(file, onChange);
  symlinkSync("..2", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  await told();
});

it("tells of a file that has gone", async () => {
  start();
  rmSync(file);
  await told();
});

it("says nothing of other files, nor of the same content written again", async () => {
  start();
  writeFileSync(join(folder, "perennial.log"), "a line\n");
  writeFileSync(file, "port: 1\n");
  await quiet();
  expect(onChange).not.toHaveBeenCalled();
});
