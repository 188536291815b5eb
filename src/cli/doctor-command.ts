/** `perennial doctor`: its arguments, and the configuration that they amount to. */
import { type Command, InvalidArgumentError } from "commander";
import { ConfigError } from "../config/config-error.ts";
import type { Env } from "../config/env.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import { parseDuration } from "../config/units.ts";
import type { DoctorOptions } from "../doctor/run-doctor.ts";
import { CommandEnded } from "./command-ended.ts";
import { explainOldNode } from "./node-version.ts";

/** What the command line gives the doctor. */
export type DoctorRequest = Omit<DoctorOptions, "env">;

export interface DoctorContext {
  /** @returns the exit code. */
  doctor(options: DoctorRequest): Promise<number>;
  readonly env: Env;
  readonly cwd: string;
}

interface Flags {
  readonly config?: string;
  readonly profile?: string;
  readonly model?: string;
  readonly timeout?: number;
  readonly json?: boolean;
}

export function addDoctor(program: Command, fileMeaning: string, { doctor, env, cwd }: DoctorContext): void {
  program
    .command("doctor")
    .description("examine an upstream: connection, key, models, how its streams end; exit code 1 where something will fail")
    .argument("[url]", "base URL of the upstream, in place of a configuration", toText)
    .option("--config <file>", fileMeaning, toText)
    .option("--profile <name>", "which server the upstream is; see perennial profiles")
    .option("--model <name>", "the model to ask; the first on its list by default")
    .option("--timeout <duration>", "how long an answer may be silent, such as 5m; 60s by default", toSpan)
    .option("--json", "print the verdict as JSON")
    .action(async (url: string | undefined, { config: file, profile, model, timeout, json }: Flags) => {
      const loaded = load({ file, env, cwd, upstream: url, profile });
      const nodeProblem = explainOldNode(process.versions.node);
      const code = await doctor({ config: loaded.config, model, patienceMs: timeout, json, nodeProblem });
      if (code !== 0) throw new CommandEnded(code);
    });
}

interface Sources {
  readonly file: string | undefined;
  readonly env: Env;
  readonly cwd: string;
  readonly upstream: string | undefined;
  readonly profile: string | undefined;
}

/** @throws ConfigError */
function load({ file, env, cwd, upstream, profile }: Sources): LoadedConfig {
  const loaded = loadConfig({ file, env, flags: { upstream, profile }, cwd });
  if (loaded.config.upstreams.length > 0) return loaded;
  throw new ConfigError(["there is no upstream to examine: perennial doctor URL, or --config FILE"]);
}

function toText(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected some text.");
  return text;
}

function toSpan(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as RangeError).message);
  }
}
