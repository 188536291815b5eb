/** Puts other people's gateways into .cache, each in a folder of its own that is named for its version. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Unavailable } from "./peer.ts";

const CACHE = fileURLToPath(new URL("../../../.cache/peers/", import.meta.url));
const PYTHONS = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
const IS_RECENT = "import sys; sys.exit(sys.version_info < (3, 10))";
const INSTALL_MS = 10 * 60_000;

export interface Wanted {
  /** As the registry knows it, with extras: `litellm[proxy]`. */
  readonly package: string;
  readonly version: string;
  /** Versions of its dependencies, where its newest do not go with it; npm alone. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/** The program in the package's own environment. */
export function pythonProgram(wanted: Wanted, name: string): string {
  const [folder, ending] = process.platform === "win32" ? ["Scripts", ".exe"] : ["bin", ""];
  return join(folderOf(wanted), folder, name + ending);
}

/** @throws {Unavailable} */
export function installPython(wanted: Wanted, report: (line: string) => void): void {
  once(wanted, report, (folder, version) => {
    const python = PYTHONS.find((name) => spawnSync(name, ["-c", IS_RECENT], { stdio: "ignore" }).status === 0);
    if (python === undefined) throw new Unavailable("there is no python3 of version 3.10 or later");
    step(python, ["-m", "venv", folder], folder);
    const pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"];
    step(pythonProgram(wanted, "python"), [...pip, `${wanted.package}==${version}`], folder);
  });
}

export function npmFile(wanted: Wanted, path: string): string {
  return join(folderOf(wanted), "node_modules", wanted.package, path);
}

/** Its scripts are not run. @throws {Unavailable} */
export function installNpm(wanted: Wanted, report: (line: string) => void): void {
  once(wanted, report, (folder, version) => {
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, overrides: wanted.overrides }));
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
    step("npm", ["install", ...flags, `${wanted.package}@${version}`], folder);
  });
}

function folderOf({ package: name, version }: Wanted): string {
  return join(CACHE, `${name.replace(/\[.*/, "").replace(/.*\//, "")}-${version}`);
}

/** A stamp is written last, so that a broken installation is never taken for a whole one. */
function once(wanted: Wanted, report: (line: string) => void, install: (folder: string, version: string) => void): void {
  const folder = folderOf(wanted);
  const stamp = join(folder, "installed.txt");
  if (existsSync(stamp)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  report(`installing ${wanted.package} ${wanted.version}`);
  install(folder, wanted.version);
  writeFileSync(stamp, `${wanted.package} ${wanted.version}\n`);
}

function step(command: string, args: readonly string[], cwd: string): void {
  const shell = process.platform === "win32" && command === "npm";
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, shell, encoding: "utf8", timeout: INSTALL_MS });
  if (status === 0) return;
  const said = `${stdout ?? ""}${stderr ?? ""}`.trim().split("\n").slice(-3).join("\n  ");
  throw new Unavailable(`it does not install: ${error?.message ?? said}`);
}
