/** Configurations as a user writes them: a file in a folder of its own, variables, flags. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { loadConfig } from "../../src/config/load.ts";

/** A new folder for each test; `perennial.yaml` is written into it. */
export let cwd: string;

/** For the head of a file: hooks at the head of this one would be those of the first file alone that a worker takes. */
export function useConfigFolder(): void {
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), "perennial-config-"));
  });
  afterEach(() => rmSync(cwd, { recursive: true }));
}

type Options = Partial<Parameters<typeof loadConfig>[0]>;

export function load(yaml: string | undefined, options: Options = {}) {
  if (yaml !== undefined) writeFileSync(join(cwd, "perennial.yaml"), yaml);
  return loadConfig({ env: {}, flags: {}, cwd, ...options });
}

export function configOf(yaml?: string, options?: Options) {
  return load(yaml, options).config;
}

export function problemsOf(yaml?: string, options?: Options): readonly string[] {
  try {
    load(yaml, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
