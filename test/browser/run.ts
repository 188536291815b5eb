/**
 * `npm run test:browser`: the dashboard in a real Chromium, before the real server; says why when there is none.
 *   node test/browser/run.ts [--require] [--screenshots] [arguments for vitest]
 * `--require`, or CI in the environment: to have no Chromium is an error. `--screenshots`: those of docs/images are made anew;
 * without it they go to .cache/browser.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { findChromium, installChromium } from "./chromium.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const say = (line: string): void => void process.stdout.write(`browser: ${line}\n`);

const args = process.argv.slice(2);
const isRequired = takeFlag("--require") || (process.env.CI ?? "") !== "";
const images = join(REPOSITORY, takeFlag("--screenshots") ? "docs/images" : ".cache/browser");

const missing = findChromium() === undefined ? installChromium(say) : undefined;
if (missing !== undefined) {
  say(`skipped: ${missing}`);
  process.exitCode = isRequired ? 1 : 0;
} else {
  // What is tested is what is served: the page as it is built.
  const { status } = spawnSync(process.execPath, [join(REPOSITORY, "scripts/build.ts")], { stdio: "inherit" });
  mkdirSync(images, { recursive: true });
  process.exitCode = status !== 0 ? (status ?? 1) : await runVitest();
}

function runVitest(): Promise<number> {
  const vitest = join(REPOSITORY, "node_modules/vitest/vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  const tests = spawn(process.execPath, [vitest, "run", "--config", config, ...args], {
    cwd: REPOSITORY,
    stdio: "inherit",
    env: { ...process.env, PERENNIAL_TEST_IMAGES: images },
  });
  return new Promise((done) => tests.on("exit", (code) => done(code ?? 1)));
}

function takeFlag(flag: string): boolean {
  const at = args.indexOf(flag);
  if (at !== -1) args.splice(at, 1);
  return at !== -1;
}
