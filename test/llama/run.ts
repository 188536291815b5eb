/** `npm run test:llama`: installs a real model server, then runs the tests against it; says why when it cannot. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { installEnvironment, REPOSITORY, Unavailable } from "./environment.ts";

const flags = process.argv.slice(2);
/** Where the tests must not be left out unseen. */
const isRequired = flags.includes("--require") || (process.env.CI ?? "") !== "";

try {
  installEnvironment((line) => process.stdout.write(`llama: ${line}\n`));
  runTests(flags.filter((flag) => flag !== "--require" && flag !== "--every"));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  process.stdout.write(`skipped: ${error.message}\n`);
  if (isRequired) {
    process.stdout.write("failed: the tests with a real model are required here (CI is set, or --require was given)\n");
    process.exitCode = 1;
  }
}

function runTests(args: readonly string[]): void {
  const vitest = join(REPOSITORY, "node_modules", "vitest", "vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  // A quarter of an hour more.
  const env = { ...process.env, PERENNIAL_LLAMA_STEP: flags.includes("--every") ? "1" : "9" };
  const tests = spawn(process.execPath, [vitest, "run", "--config", config, ...args], { cwd: REPOSITORY, stdio: "inherit", env });
  tests.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
