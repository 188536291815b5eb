/**
 * `npm run test:clients`: the clients people use, each against Perennial; says why when one cannot be had.
 *   node test/clients/run.ts [--require] [--table FILE] [arguments for vitest]
 * `--require`, or CI in the environment: a client that cannot be had is an error. `--table`: writes the measured table there too.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { findCurl } from "./curl-client.ts";
import { installPython, REPOSITORY, TABLE, Unavailable } from "./environment.ts";
import { buildGoClient } from "./go-client.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { isRequired, tableFile, rest } = readFlags(process.argv.slice(2));

let missing = 0;
function skip(clients: string, why: string): void {
  missing++;
  say(`skipped: ${clients}: ${why}`);
}

try {
  installPython((line) => say(`clients: ${line}`));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  skip("the Python clients", error.message);
}
try {
  buildGoClient((line) => say(`clients: ${line}`));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  skip("openai-go", error.message);
}
if (!findCurl()) skip("curl", "there is no curl of version 7.76 or later");

rmSync(TABLE, { force: true });
const code = await runVitest();
if (existsSync(TABLE)) {
  if (tableFile !== undefined) copyFileSync(TABLE, tableFile);
  say(`clients: the measured table is in ${tableFile ?? relative(process.cwd(), TABLE)}`);
}
if (missing > 0 && isRequired) say("failed: every client is required here (CI is set, or --require was given)");
process.exitCode = code !== 0 ? code : missing > 0 && isRequired ? 1 : 0;

function runVitest(): Promise<number> {
  const vitest = join(REPOSITORY, "node_modules", "vitest", "vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  const tests = spawn(process.execPath, [vitest, "run", "--config", config, ...rest], { cwd: REPOSITORY, stdio: "inherit" });
  return new Promise((resolve) => tests.on("exit", (exitCode) => resolve(exitCode ?? 1)));
}

/** What is not ours is vitest's. */
function readFlags(args: readonly string[]): { isRequired: boolean; tableFile: string | undefined; rest: string[] } {
  const rest = [...args];
  let tableFile: string | undefined;
  const table = rest.indexOf("--table");
  if (table !== -1) {
    tableFile = rest.splice(table, 2)[1];
    if (tableFile === undefined) throw new Error("--table needs the name of a file");
  }
  const required = rest.indexOf("--require");
  if (required !== -1) rest.splice(required, 1);
  return { isRequired: required !== -1 || (process.env.CI ?? "") !== "", tableFile, rest };
}
