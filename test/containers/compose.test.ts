/** The compose files, with every compose that this machine has: they are read, and the first of them serves a stream at once. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { chat, readStream } from "../support/client.ts";
import { findComposeCommands } from "./compose-commands.ts";
import { IMAGE, RUN, WHOLE } from "./stage.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const FILES = [
  "docker-compose.yml",
  ...readdirSync(`${ROOT}examples/compose`)
    .filter((file) => file.endsWith(".yml"))
    .map((file) => `examples/compose/${file}`),
];

const run = promisify(execFile);
const docker = async (...args: string[]): Promise<string> => (await run("docker", args)).stdout.trim();

describe.each(findComposeCommands())("$name", ({ name, command, args }) => {
  const project = `${RUN}-${name.replace(" ", "-")}`;
  const compose = (file: string, port: number, ...rest: string[]) =>
    run(command, [...args, "--project-name", project, "--file", file, ...rest], {
      cwd: ROOT,
      env: { ...process.env, PERENNIAL_IMAGE: IMAGE, PERENNIAL_PUBLISH_PORT: String(port), PERENNIAL_UPSTREAM: "" },
    });

  test.each(FILES)("%s is read without a complaint", async (file) => {
    const { stdout, stderr } = await compose(file, 8787, "config");
    expect(stdout).toContain("no-new-privileges");
    expect(stderr).toBe("");
  });

  test("up starts both services healthy, hardened and only on this machine; a stream comes through whole; down leaves nothing", async () => {
    const port = await freePort();
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(async () => {
      await compose("docker-compose.yml", port, "down", "--volumes", "--timeout", "5");
      expect(await docker("ps", "--all", "--quiet", "--filter", `name=${project}`)).toBe("");
      expect(await docker("network", "ls", "--quiet", "--filter", `name=${project}`)).toBe("");
    });
    await compose("docker-compose.yml", port, "up", "--detach");

    // At once: whatever has not started yet is waited for behind the gate.
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${port}/healthz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    const seen = await chat(`http://127.0.0.1:${port}/v1`, { model: "chaos/empty,ok" });
    expect(readStream(seen.body)).toMatchObject(WHOLE);
    expect(seen.headers["x-perennial-upstream"]).toBe("main");

    const ids = (await docker("ps", "--quiet", "--filter", `name=${project}`)).split("\n");
    expect(ids).toHaveLength(2);
    for (const id of ids) {
      await expect.poll(() => docker("inspect", "--format", "{{.State.Health.Status}}", id), { timeout: 30_000 }).toBe("healthy");
      const [{ HostConfig }] = JSON.parse(await docker("inspect", id));
      expect(HostConfig).toMatchObject({
        ReadonlyRootfs: true,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges:true"],
        RestartPolicy: { Name: "unless-stopped" },
      });
      for (const bindings of Object.values(HostConfig.PortBindings ?? {})) {
        expect(bindings).toEqual([{ HostIp: "127.0.0.1", HostPort: String(port) }]);
      }
    }
  }, 120_000);
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
