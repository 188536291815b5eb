/** openai-go from before 3.43, to which a comment block is an event without data: built once, from Go's own cache or module proxy. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, Unavailable } from "./environment.ts";
import { createProcessClient, type ProcessClient } from "./process-client.ts";

const SOURCE = join(import.meta.dirname, "go");
const BINARY = join(CACHE, process.platform === "win32" ? "go-client.exe" : "go-client");
/** Of what was built; written last, so that a broken build is never taken for a whole one. */
const STAMP = join(CACHE, "go-client.txt");
const BUILD_MS = 10 * 60_000;

export function builtGoClient(): ProcessClient | undefined {
  const isCurrent = existsSync(BINARY) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === fingerprint();
  return isCurrent ? createProcessClient("openai (Go)", BINARY, []) : undefined;
}

/**
 * @param report is told of each step, and how long it took.
 * @throws {Unavailable}
 */
export function buildGoClient(report: (line: string) => void): void {
  if (builtGoClient() !== undefined) {
    report("the Go client is ready from an earlier run");
    return;
  }
  if (spawnSync("go", ["version"]).status !== 0) throw new Unavailable("there is no Go toolchain");
  mkdirSync(CACHE, { recursive: true });
  report("building openai-go");
  const started = performance.now();
  const built = spawnSync("go", ["build", "-o", BINARY, "."], { cwd: SOURCE, encoding: "utf8", timeout: BUILD_MS });
  if (built.status !== 0) {
    const said = `${built.stderr ?? ""}`.trim().split("\n").slice(-5).join("\n  ");
    throw new Unavailable(`go cannot build it:\n  ${built.error?.message ?? said}`);
  }
  writeFileSync(STAMP, fingerprint());
  report(`built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function fingerprint(): string {
  const hash = createHash("sha256");
  for (const file of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(SOURCE, file)));
  return hash.digest("hex");
}
