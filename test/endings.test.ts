/** The process always ends: with a log that cannot be written, a reader that has stopped, a thread that hangs; and how it begins on an old Node. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { explainOldNode } from "../src/cli/node-version.ts";
import { send } from "./support/client.ts";
import { PROGRAM_ENV, PROGRAM_LIMIT_MS } from "./support/program-env.ts";

const src = (file: string): string => fileURLToPath(new URL(`../src/${file}`, import.meta.url));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

const endOf = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Perennial with a stdout that tells nothing, once it serves. */
async function start(stdout: "pipe" | number): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort();
  const child = spawn(process.execPath, [src("main.ts"), "--upstream", "http://127.0.0.1:1/v1", "--port", String(port)], {
    env: PROGRAM_ENV,
    stdio: ["ignore", stdout, "ignore"],
  });
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(() =>
      send(`${url}/healthz`).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200);
  return { child, url };
}

/** Refusals, each of which is a line of the log. */
async function fillLog(url: string, lines: number): Promise<void> {
  for (let sent = 0; sent < lines; sent += 20) await Promise.all(Array.from({ length: 20 }, () => send(`${url}/nothing`)));
}

describe.skipIf(process.platform !== "linux")("SIGTERM ends it", () => {
  test("with its log on a full disk", async () => {
    const { child, url } = await start(openSync("/dev/full", "w"));
    await fillLog(url, 20);
    const ended = endOf(child);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  });

  test("with its log in a pipe that is open and not read, and it serves until then", async () => {
    const { child, url } = await start("pipe");
    // More than a pipe holds.
    await fillLog(url, 600);
    expect((await send(`${url}/healthz`)).status).toBe(200);
    const ended = endOf(child);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  });
});

/** A program of these lines, with what it imports from `src/`. */
const program = (source: string): string[] => ["--input-type=module", "-e", source.replaceAll("src:", `file://${src("")}`)];

test("log lines that nobody reads are dropped beyond 1 MiB, and counted once there is room again", async () => {
  const child = spawn(
    process.execPath,
    program(`
      const { LogOutput } = await import("src:telemetry/log-output.ts");
      const output = new LogOutput();
      output.onLost = (lines) => output.write("lost " + lines + "\\n");
      for (let line = 0; line < 3_000; line++) output.write("x".repeat(999) + "\\n");
      console.error("written");
      setInterval(() => output.write("later\\n"), 50);
    `),
    { env: PROGRAM_ENV, stdio: ["ignore", "pipe", "pipe"] },
  );
  children.push(child);
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  await expect.poll(() => said).toContain("written");
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  await expect.poll(() => output).toContain("lost ");
  const kept = output.match(/^x{999}$/gm)?.length ?? 0;
  // A mebibyte, and what the pipe itself holds.
  expect(kept).toBeGreaterThan(1_000);
  expect(kept).toBeLessThan(1_300);
  expect(Number(/lost (\d+)/.exec(output)?.[1])).toBe(3_000 - kept);
});

test.skipIf(process.platform === "win32")("a thread that hangs does not keep it", async () => {
  const fifo = join(mkdtempSync(join(tmpdir(), "perennial-")), "fifo");
  execFileSync("mkfifo", [fifo]);
  // Nobody ever writes into it, and process.exit would wait for the thread that opens it.
  const hang = `import { open } from "node:fs"; open(${JSON.stringify(fifo)}, "r", () => {});`;
  const run = (end: string) =>
    spawnSync(process.execPath, program(`${hang} const { endProcess } = await import("src:cli/end-process.ts"); ${end}`), {
      env: PROGRAM_ENV,
      timeout: PROGRAM_LIMIT_MS,
      killSignal: "SIGQUIT",
    });
  expect(run("endProcess(1)").signal).toBe("SIGKILL");
});

describe("a Node that is too old", () => {
  test.each(["10.24.1", "18.20.8", "20.20.2", "22.0.0", "22.18.0", "22.9.9"])(
    "%s is told what it takes, in one line",
    (version) => {
      expect(explainOldNode(version)).toMatch(
        new RegExp(`^this is Node.js ${version}, .*22\\.19 or newer: .*https://nodejs\\.org.*$`),
      );
    },
  );

  test.each(["22.19.0", "22.20.1", "23.0.0", "24.21.0", "100.1.0"])("is not %s", (version) => {
    expect(explainOldNode(version)).toBeUndefined();
  });

  test("is one that package.json does not name", () => {
    const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    expect(engines.node).toBe(">=22.19");
  });

  test("gets that far: the door loads nothing else, in no syntax that is new", () => {
    const door = readFileSync(src("main.ts"), "utf8");
    expect(door.match(/^import .*$/gm)).toEqual(['import { explainOldNode } from "./cli/node-version.ts";']);
    expect(door).not.toMatch(/\bawait\b/);
    const check = readFileSync(src("cli/node-version.ts"), "utf8");
    expect(check).not.toMatch(/^import /m);
    for (const text of [door, check])
      expect(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|^#!.*/gm, "")).not.toMatch(/\?\?|\?\.|#|\|\|=/);
    // As it would be on one: the version is all that is looked at.
    const { status, stderr } = spawnSync(
      process.execPath,
      program(`Object.defineProperty(process.versions, "node", { value: "20.20.2" }); await import("src:main.ts");`),
      { encoding: "utf8", env: PROGRAM_ENV },
    );
    expect({ status, lines: stderr.trim().split("\n").length }).toEqual({ status: 1, lines: 1 });
    expect(stderr).toMatch(/^perennial: this is Node\.js 20\.20\.2/);
  });
});

describe.skipIf(process.platform === "win32")("a configuration that is no file", () => {
  test.each([["a pipe"], ["a device"]])("is refused at once: %s", (what) => {
    const file = what === "a device" ? "/dev/zero" : join(mkdtempSync(join(tmpdir(), "perennial-")), "fifo");
    if (what === "a pipe") execFileSync("mkfifo", [file]);
    for (const args of [
      ["check-config", file],
      ["--config", file, "--port", "0"],
    ]) {
      const { status, stderr } = spawnSync(process.execPath, [src("main.ts"), ...args], {
        encoding: "utf8",
        env: PROGRAM_ENV,
        timeout: PROGRAM_LIMIT_MS,
      });
      expect(status).toBe(2);
      expect(stderr).toBe(`${file}: cannot be read: it is not a regular file\n`);
    }
  });
});

test("the image does not open Node's inspector to a signal", () => {
  const dockerfile = readFileSync(new URL("../Dockerfile", import.meta.url), "utf8");
  expect(dockerfile).toMatch(/^ENTRYPOINT \["node", "--disable-sigusr1", "\/app\/dist\/main\.js"\]$/m);
});

test.skipIf(process.platform === "win32")("where everybody can reach it, the log says so where it listens", async () => {
  const child = spawn(
    process.execPath,
    [src("main.ts"), "--host", "0.0.0.0", "--port", "0", "--upstream", "http://127.0.0.1:1/v1"],
    {
      env: { ...PROGRAM_ENV, PERENNIAL_OPEN: "true" },
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  children.push(child);
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  await expect.poll(() => output).toContain("listening");
  expect(JSON.parse(output.split("\n", 1)[0] as string).msg).toMatch(/^listening on http:\/\/0\.0\.0\.0:\d+, upstream /);
});
