/**
 * `npm run test:containers`: builds the image, runs the tests that break it and its upstream for real, and leaves nothing but it
 * and the builder's cache.
 *   node test/containers/run.ts [--require] [--image NAME] [vitest's arguments]     NAME: an image to test in place of a new one
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import { findComposeCommands } from "./compose-commands.ts";
import { removeLeftovers } from "./leftovers.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const DEFAULT_REGISTRY = "https://registry.npmjs.org/";

const args = process.argv.slice(2);
const imageFlag = args.indexOf("--image");
const [, givenImage] = imageFlag === -1 ? [] : args.splice(imageFlag, 2);
const image = givenImage ?? "perennial:test";
/** Where the tests must not be left out unseen. */
const isRequired = args.includes("--require") || (process.env.CI ?? "") !== "";
const say = (line: string): void => void process.stdout.write(`containers: ${line}\n`);

const missing = findMissing();
if (missing !== undefined) {
  process.stdout.write(`skipped: ${missing}\n`);
  if (isRequired) {
    process.stdout.write("failed: the tests in containers are required here (CI is set, or --require was given)\n");
    process.exitCode = 1;
  }
} else {
  process.exitCode = (givenImage === undefined ? buildImage() : 0) || (await runTests());
}

function findMissing(): string | undefined {
  const { status, error, stderr } = spawnSync("docker", ["info"], { encoding: "utf8" });
  if (error !== undefined) return `there is no docker command (${error.message})`;
  if (status !== 0) return `no Docker engine answers: ${stderr.trim()}`;
  if (findComposeCommands().length === 0) return "there is neither `docker compose` nor docker-compose";
  return undefined;
}

/** As a user builds it; npm's registry goes with it, where this machine uses another than npm's own. */
function buildImage(): number {
  const began = performance.now();
  const env = buildEnvironment();
  const passed = ["NPM_CONFIG_REGISTRY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].filter((name) => env[name] !== undefined);
  const buildArgs = passed.flatMap((name) => ["--build-arg", name]);
  const buildCommand = ["build", "--force-rm", "--tag", image, ...buildArgs, "."];
  const replaced = imageId();
  const { status } = spawnSync("docker", buildCommand, { cwd: REPOSITORY, env, stdio: "inherit" });
  // Without its name, nobody would find it again.
  if (replaced !== "" && replaced !== imageId()) spawnSync("docker", ["image", "rm", replaced]);
  say(status === 0 ? `built ${image} in ${((performance.now() - began) / 1000).toFixed(1)} s` : `${image} could not be built`);
  return status ?? 1;
}

function imageId(): string {
  return spawnSync("docker", ["image", "ls", "--quiet", "--no-trunc", image], { encoding: "utf8" }).stdout.trim();
}

function buildEnvironment(): NodeJS.ProcessEnv {
  const registry = spawnSync("npm", ["config", "get", "registry"], { cwd: REPOSITORY, encoding: "utf8" }).stdout?.trim();
  // Without its plugin, the docker command cannot build with BuildKit.
  const hasBuildKit = spawnSync("docker", ["buildx", "version"]).status === 0;
  return {
    ...process.env,
    NPM_CONFIG_REGISTRY: registry === DEFAULT_REGISTRY || registry === undefined ? "" : registry,
    ...(hasBuildKit ? {} : { DOCKER_BUILDKIT: "0" }),
  };
}

async function runTests(): Promise<number> {
  const run = `perennial-test-${randomBytes(4).toString("hex")}`;
  const env = {
    ...buildEnvironment(),
    PERENNIAL_TEST_IMAGE: image,
    PERENNIAL_TEST_RUN: run,
    // Its work is done here, without pulling its image: see removeLeftovers.
    TESTCONTAINERS_RYUK_DISABLED: "true",
  };
  const vitest = join(REPOSITORY, "node_modules", "vitest", "vitest.mjs");
  const config = join(import.meta.dirname, "vitest.config.ts");
  const vitestArgs = [vitest, "run", "--config", config, ...args.filter((arg) => arg !== "--require")];
  // Ctrl-C reaches the tests too; this process stays to clean up after them.
  process.on("SIGINT", () => {});
  const tests = spawn(process.execPath, vitestArgs, { cwd: REPOSITORY, env, stdio: "inherit" });
  const code = await new Promise<number>((ended) => tests.on("exit", (status) => ended(status ?? 1)));
  const leftovers = removeLeftovers(run);
  if (leftovers.length > 0) say(`removed what the tests left behind: ${leftovers.join(", ")}`);
  return code === 0 && leftovers.length > 0 ? 1 : code;
}
