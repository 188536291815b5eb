/** Debian's Chromium, or whichever there is: found, or installed where that is possible. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/** Those for Chinese and for pictures in text matter to screenshots alone. */
const PACKAGES = ["chromium", "fonts-inter", "fonts-noto-cjk", "fonts-noto-color-emoji"];
const INSTALL_MS = 10 * 60_000;

/** The path of $CHROMIUM, or of the first in $PATH that answers. */
export function findChromium(): string | undefined {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : NAMES;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const paths = names.flatMap((name) => (isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name))));
  return paths.find((path) => existsSync(path) && spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0);
}

/**
 * Debian and its kin, as root.
 * @param report is told of each step.
 * @returns why it cannot be had; undefined when it was installed.
 */
export function installChromium(report: (line: string) => void): string | undefined {
  if (process.getuid?.() !== 0) return "there is no Chromium, and only root may install it (apt-get install chromium)";
  if (spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) {
    return "there is no Chromium, and no apt-get to install it with";
  }
  report("installing chromium and fonts");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...PACKAGES]]) {
    const { status, stderr } = spawnSync("apt-get", ["-qq", ...args], { encoding: "utf8", env, timeout: INSTALL_MS });
    if (status !== 0) return `apt-get ${args[0]} failed: ${(stderr ?? "").trim().split("\n").slice(-3).join(" ")}`;
  }
  return findChromium() === undefined ? "chromium was installed, and does not start" : undefined;
}
