/** The Python environment of the repository's own that the Python clients run in, installed once. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const REPOSITORY = resolve(import.meta.dirname, "../..");
/** Where the measured table goes, beside the environment. */
export const CACHE = join(REPOSITORY, ".cache", "clients");
export const TABLE = join(CACHE, "table.md");

const VENV = join(CACHE, "venv");
const VENV_PYTHON = process.platform === "win32" ? join(VENV, "Scripts", "python.exe") : join(VENV, "bin", "python");
/** What was installed; written last, so that a broken installation is never taken for a whole one. */
const STAMP = join(CACHE, "installed.txt");
const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

const PYTHONS = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
const IS_RECENT = "import sys; sys.exit(sys.version_info < (3, 10))";
const INSTALL_MS = 10 * 60_000;

/** Why the Python clients cannot be had here. */
export class Unavailable extends Error {}

/** The interpreter that has the clients of `requirements.txt`, or undefined when they are not installed. */
export function installedPython(): string | undefined {
  const isCurrent = existsSync(STAMP) && readFileSync(STAMP, "utf8") === readFileSync(REQUIREMENTS, "utf8");
  return isCurrent && canRun(VENV_PYTHON) ? VENV_PYTHON : undefined;
}

/**
 * @param report is told of each step, and how long it took.
 * @throws {Unavailable}
 */
export function installPython(report: (line: string) => void): void {
  if (installedPython() !== undefined) {
    report("the Python environment is ready from an earlier run");
    return;
  }
  const python = PYTHONS.find(canRun);
  if (python === undefined) throw new Unavailable("there is no python3 of version 3.10 or later");
  rmSync(VENV, { recursive: true, force: true });
  rmSync(STAMP, { force: true });
  mkdirSync(CACHE, { recursive: true });
  report(`making a virtual environment with ${python}`);
  step(python, ["-m", "venv", VENV], `${python} cannot make a virtual environment (is its venv module installed?)`);
  report("installing openai, langchain-openai, httpx and requests");
  const pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"];
  const started = performance.now();
  step(VENV_PYTHON, [...pip, "--requirement", REQUIREMENTS], "pip cannot install the requirements");
  step(VENV_PYTHON, ["-c", "import openai, langchain_openai, httpx, requests"], "the Python clients do not load");
  writeFileSync(STAMP, readFileSync(REQUIREMENTS, "utf8"));
  report(`installed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
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
