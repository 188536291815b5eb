/** The agents as npm has them, in a folder of their own: they are too large to be anybody's dependency. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Measured with these; another is asked for with `--versions claude@2.1.0,codex@0.170.0`. */
export const VERSIONS = { claude: "2.1.197", codex: "0.169.0" } as const;
export type AgentName = keyof typeof VERSIONS;

const PACKAGES: Readonly<Record<AgentName, string>> = { claude: "@anthropic-ai/claude-code", codex: "@openai/codex" };
/** Several hundred megabytes, on a slow line too. */
const INSTALL_MS = 600_000;

export interface Installed {
  readonly program: string;
  /** As it names itself. */
  readonly version: string;
}

/** @returns the program, or why it is not there. */
export function installAgent(name: AgentName, version: string): Installed | string {
  const folder = fileURLToPath(new URL(`../../.cache/agents/${name}-${version}/`, import.meta.url));
  const program = join(folder, "node_modules", ".bin", name);
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"private":true}\n');
    const wanted = `${PACKAGES[name]}@${version}`;
    const npm = run("npm", ["install", "--no-audit", "--no-fund", "--loglevel", "error", wanted], folder);
    if (npm !== undefined) return `${wanted} does not install: ${npm}`;
    // npm may hold install scripts back; this one puts the binary of the platform in its place.
    const script = join(folder, "node_modules", PACKAGES[name], "install.cjs");
    if (existsSync(script)) run(process.execPath, [script], folder);
  }
  const said = spawnSync(program, ["--version"], { encoding: "utf8", timeout: 60_000, env: { PATH: pathWithNode() } });
  if (said.status !== 0)
    return `${name} does not start here: ${String(said.error ?? said.stderr)
      .trim()
      .slice(0, 200)}`;
  return { program, version: said.stdout.trim() };
}

/** Codex's program is a script that asks for `node`. */
export function pathWithNode(): string {
  return [dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
}

/** @returns what went wrong. */
function run(command: string, args: readonly string[], cwd: string): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: INSTALL_MS });
  return status === 0
    ? undefined
    : String(error ?? stderr)
        .trim()
        .slice(-300);
}
