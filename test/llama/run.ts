/**
 * `npm run test:llama`: installs a real model server, then runs the tests against it; says why when it cannot.
 * `-- --every [--answers NAME,NAME] [--resume]`: kills it behind each single event, of these answers alone; goes on with a run
 * that was cut. What follows another `--` is for Vitest.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chooseAnswers, KeptEndings } from "./answers.ts";
import { installEnvironment, REPOSITORY, Unavailable } from "./environment.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Where the tests must not be left out unseen. */
    require: { type: "boolean", default: (process.env.CI ?? "") !== "" },
    every: { type: "boolean", default: false },
    answers: { type: "string", default: "" },
    resume: { type: "boolean", default: false },
  },
});
chooseAnswers(flags.answers);

try {
  installEnvironment((line) => process.stdout.write(`llama: ${line}\n`));
  if (flags.every && !flags.resume) KeptEndings.forget();
  // Chosen answers are asked for by themselves.
  runTests(
    flags.answers === "" ? positionals : ["continued.test.ts", "--testNamePattern", "killed behind an event", ...positionals],
  );
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  process.stdout.write(`skipped: ${error.message}\n`);
  if (flags.require) {
    process.stdout.write("failed: the tests with a real model are required here (CI is set, or --require was given)\n");
    process.exitCode = 1;
  }
}

function runTests(args: readonly string[]): void {
  const vitest = join(REPOSITORY, "node_modules", "vitest", "vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  const env = { ...process.env, PERENNIAL_LLAMA_STEP: flags.every ? "1" : "9", PERENNIAL_LLAMA_ANSWERS: flags.answers };
  const tests = spawn(process.execPath, [vitest, "run", "--config", config, ...args], { cwd: REPOSITORY, stdio: "inherit", env });
  tests.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
