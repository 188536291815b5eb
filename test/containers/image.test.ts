/** The image itself: who runs in it, what is in it, how large it is, how it refuses to start and how it reports its health. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { RUN_LABEL } from "./leftovers.ts";
import { IMAGE, openStage, RUN, writeConfig } from "./stage.ts";

/** Beyond the base image, in bytes. What is added to the image is meant to be noticed here. */
const MAX_SIZE = 6e6;

const ROOT = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));

const docker = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" });

/** `docker run`, to its end. @param args options, then the image, then its arguments */
function runOnce(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync("docker", ["run", "--rm", "--label", `${RUN_LABEL}=${RUN}`, "--read-only", ...args], { encoding: "utf8" });
}

test("nobody in the container is root, and nothing in it can be written", async () => {
  await using stage = await openStage();
  const { perennial } = stage;
  expect((await perennial.exec("id", "-u")).output.trim()).toBe("1000");
  for (const folder of ["/app", "/app/dist", "/etc/perennial", "/tmp", "/home/node"]) {
    expect(await perennial.exec("touch", `${folder}/written`)).toMatchObject({ exitCode: 1 });
  }
  // Nor without the read-only root: the program is not its user's.
  expect(runOnce("--read-only=false", "--entrypoint", "touch", IMAGE, "/app/dist/main.js").status).toBe(1);
});

test("the program is the container's first process, so that signals reach it", async () => {
  await using stage = await openStage();
  const { output } = await stage.perennial.exec("cat", "/proc/1/cmdline");
  expect(output.split("\0").slice(0, 3)).toEqual(["node", "--disable-sigusr1", "/app/dist/main.js"]);
});

test("the image has the built program, the licences of what is in it, and nothing for developers", () => {
  const { stdout } = runOnce("--entrypoint", "find", IMAGE, "/app", "-type", "f");
  const files = stdout.trim().split("\n");
  const known =
    /^\/app\/(package\.json|LICENSE|dist\/(THIRD-PARTY-NOTICES\.txt|(chaos-)?main\.js|program\/[\w.-]+\.js|dashboard\/.*))$/;
  expect(files.filter((file) => !known.test(file) || file.endsWith(".map"))).toEqual([]);
  const notices = runOnce("--entrypoint", "cat", IMAGE, "/app/dist/THIRD-PARTY-NOTICES.txt").stdout;
  expect(Object.keys(manifest.dependencies).filter((name) => !notices.includes(`\n${name} `))).toEqual([]);
  expect(runOnce(IMAGE, "--version").stdout.trim()).toBe(manifest.version);
});

test("the image is its base and less than 6 MB", () => {
  // Newest first. Everything from the first instruction of the Dockerfile on is ours.
  const layers = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", IMAGE).split("\n");
  const first = layers.findIndex((layer) => layer.includes("WORKDIR /app"));
  expect(first).toBeGreaterThan(0);
  const size = layers.slice(0, first + 1).reduce((sum, layer) => sum + Number.parseInt(layer, 10), 0);
  process.stdout.write(`the image is ${(size / 1e6).toFixed(1)} MB beyond its base\n`);
  expect(size).toBeGreaterThan(1e6);
  expect(size).toBeLessThan(MAX_SIZE);
});

test("without keys and without open: true it refuses to start, and says what to do", () => {
  const { status, stderr, stdout } = runOnce(IMAGE);
  expect(status).toBe(2);
  expect(stderr).toMatch(/PERENNIAL_HOST: .*other machines.*auth\.keys.*open: true/);
  expect(stdout).toBe("");
});

test("a wrong setting ends it with exit code 2, and names file, line and key", async () => {
  await using cleanup = new AsyncDisposableStack();
  const file = writeConfig("open: true\nretry:\n  maxAttemps: 3\n", cleanup);
  const { status, stderr } = runOnce("--volume", `${file}:/etc/perennial/perennial.yaml:ro`, IMAGE);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^perennial\.yaml:3:3: .*maxAttemps/m);
});

test("it reports itself healthy, wherever it listens, and the probe fails where nothing answers", async () => {
  const began = performance.now();
  const options = ["--detach", "--label", `${RUN_LABEL}=${RUN}`, "--read-only", "--env", "PERENNIAL_PORT=9000"];
  await using cleanup = new AsyncDisposableStack();
  const volume = `${writeConfig({ open: true }, cleanup)}:/etc/perennial/perennial.yaml:ro`;
  const id = docker("run", ...options, "--volume", volume, IMAGE).trim();
  cleanup.defer(() => void docker("rm", "--force", id));
  const health = (): string => docker("inspect", "--format", "{{.State.Health.Status}}", id).trim();
  while (health() === "starting" && performance.now() - began < 30_000) await sleep(100);
  expect(health()).toBe("healthy");
  process.stdout.write(`healthy ${((performance.now() - began) / 1000).toFixed(1)} s after its start\n`);

  const [kind, ...probe] = JSON.parse(docker("inspect", "--format", "{{json .Config.Healthcheck.Test}}", IMAGE)) as string[];
  expect(kind).toBe("CMD");
  expect(spawnSync("docker", ["exec", id, ...probe]).status).toBe(0);
  expect(spawnSync("docker", ["exec", "--env", "PERENNIAL_PORT=9001", id, ...probe]).status).toBe(1);
});
