/** `perennial doctor`: examines each upstream of a configuration, and says what it found. */
import { readPemFiles } from "../config/pem-files.ts";
import type { Config } from "../config/schema.ts";
import { judge, propose } from "./checks.ts";
import { examine } from "./examine.ts";
import { hasFault, printVerdict, spentOn, type Verdict } from "./report.ts";

export interface DoctorOptions {
  readonly config: Config;
  /** @defaultValue the first on each upstream's list */
  readonly model?: string | undefined;
  /** @defaultValue 60_000 */
  readonly patienceMs?: number | undefined;
  readonly json?: boolean | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodeProblem?: string | undefined;
}

const PATIENCE_MS = 60_000;

/** @throws ConfigError when a file that is named cannot be used. */
export async function examineAll(options: DoctorOptions, signal: AbortSignal): Promise<Verdict[]> {
  const { config, model, patienceMs = PATIENCE_MS, env, nodeProblem } = options;
  const { authorities } = readPemFiles(config);
  const verdicts: Verdict[] = [];
  // One after the other: servers on one machine would slow each other down.
  for (const upstream of config.upstreams) {
    const facts = await examine(
      { config, upstream, ca: authorities.get(upstream.name), model, patienceMs, env, nodeProblem },
      signal,
    );
    const findings = judge(facts);
    const { name, baseUrl } = upstream;
    verdicts.push({ name, baseUrl, findings, proposal: propose(facts, findings), spent: spentOn(facts) });
  }
  return verdicts;
}

/** @returns the exit code: 1 where something will fail. */
export async function runDoctor(options: DoctorOptions, write: (text: string) => void): Promise<0 | 1> {
  const verdicts = await examineAll(options, new AbortController().signal);
  if (options.json) {
    const upstreams = verdicts.map(({ proposal: _, ...verdict }) => verdict);
    write(`${JSON.stringify({ upstreams, proposal: { upstreams: verdicts.map(({ proposal }) => proposal) } }, null, 2)}\n`);
  } else write(verdicts.map(printVerdict).join("\n\n"));
  return hasFault(verdicts) ? 1 : 0;
}
