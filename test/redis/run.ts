/**
 * `npm run test:redis`: two replicas and a real redis-server, which must be in PATH; says so where it is not.
 *   node test/redis/run.ts [--require] [arguments for vitest]
 * `--require`, or CI in the environment: without a redis-server it is an error.
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";

const args = process.argv.slice(2);
const isRequired = args.includes("--require") || (process.env.CI ?? "") !== "";
const rest = args.filter((arg) => arg !== "--require");

if (spawnSync("redis-server", ["--version"]).status !== 0) {
  process.stdout.write(`${isRequired ? "failed" : "skipped"}: there is no redis-server in PATH\n`);
  process.exitCode = isRequired ? 1 : 0;
} else {
  const root = join(import.meta.dirname, "../..");
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  const tests = spawn(process.execPath, [vitest, "run", "--config", config, ...rest], { cwd: root, stdio: "inherit" });
  tests.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
