/** The program as its users run it: its start, its notices, its signals, its exit codes. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { PROGRAM_ENV, PROGRAM_LIMIT_MS } from "./support/program-env.ts";
import { chatEvents, frame, type RawUpstream } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
import type { SpawnedPerennial } from "./support/spawn-perennial.ts";
import { type Tools, test } from "./support/test.ts";

const MAIN = new URL("../src/main.ts", import.meta.url).pathname;
const run = (args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    env: { ...PROGRAM_ENV, ...env },
    timeout: PROGRAM_LIMIT_MS,
  });

async function startEndless(
  { startUpstream, spawnPerennial }: Pick<Tools, "startUpstream" | "spawnPerennial">,
  args: readonly string[],
): Promise<{ upstream: RawUpstream; running: SpawnedPerennial }> {
  const upstream = await startUpstream(open(...chatEvents(["Hello"], { finish: null, done: false })));
  return { upstream, running: await spawnPerennial(["--upstream", upstream.baseUrl, "--port", "0", ...args]) };
}

test("with nothing configured it says that the sandbox answers, and prints a curl that works", async ({ spawnPerennial }) => {
  const running = await spawnPerennial(["--port", "0"]);
  await expect.poll(() => running.output()).toContain("No upstream is configured");
  const [, url, body] = /curl -N (\S+).*?-d '([^']+)'/s.exec(running.output()) ?? [];
  expect(url).toBe(`${running.url}/v1/chat/completions`);
  const seen = await send(url as string, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: body as string,
  });
  expect(readStream(seen.body)).toMatchObject({ done: true });
});

test("SIGTERM ends it though nobody reads its output any more", async ({ spawnPerennial }) => {
  const running = await spawnPerennial(["--port", "0"]);
  running.process.stdout?.destroy();
  expect(await running.stop("SIGTERM")).toBe(0);
});

const TERMINAL = new URL("support/stopped-terminal.py", import.meta.url).pathname;
const hasTerminal = process.platform === "linux" && spawnSync("python3", ["-c", "import pty"]).status === 0;

test.skipIf(!hasTerminal)(
  "a terminal that Ctrl-S has stopped stops nothing but the log (needs Linux and python3)",
  async ({ onTestFinished }) => {
    const harness = spawn("python3", [TERMINAL, process.execPath, MAIN, "--port", "0"], {
      env: PROGRAM_ENV,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    harness.stdout.on("data", (text) => {
      said += text;
    });
    const ended = once(harness, "close");
    await expect.poll(() => said, { timeout: 20_000 }).toMatch(/^\d+ http.*\n/);
    const [pid, url] = said.trim().split(" ");
    onTestFinished(() => {
      if (harness.exitCode === null) process.kill(Number(pid), "SIGKILL");
    });
    for (let i = 0; i < 3; i++) expect((await send(`${url}/v1/models`)).status).toBe(200);
    process.kill(Number(pid), "SIGTERM");
    await ended;
    expect(said.split("\n")[1]).toBe("0");
  },
);

test("the file's apiKey does not go to another host that --upstream names, and the log says so", async ({
  startUpstream,
  spawnPerennial,
}) => {
  const upstream = await startUpstream((socket) => socket.write(frame("chunked", chatEvents(["Hello"]))));
  const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "config.yaml");
  writeFileSync(file, "upstreams: [{ baseUrl: https://api.openai.com/v1, apiKey: sk-of-openai }]\n");
  const running = await spawnPerennial(["--config", file, "--upstream", upstream.baseUrl, "--port", "0"]);
  expect(readStream((await chat(`${running.url}/v1`)).body)).toMatchObject({ text: "Hello" });
  expect(JSON.stringify(upstream.requests)).not.toContain("sk-of-openai");
  expect(running.output()).toContain("--upstream names another host than the file");
  expect(running.output()).not.toContain("sk-of-openai");
});

test("SIGTERM ends a running stream with its error event after drain.timeout, and exits with 0", async ({
  startUpstream,
  spawnPerennial,
}) => {
  const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "config.yaml");
  writeFileSync(file, "drain:\n  timeout: 200ms\n");
  const { running } = await startEndless({ startUpstream, spawnPerennial }, ["--config", file]);
  let stopped: Promise<number | string> | undefined;
  const seen = await chat(
    `${running.url}/v1`,
    {},
    {
      onRead: () => {
        stopped ??= running.stop("SIGTERM");
      },
    },
  );
  expect(seen.end).toBe("clean");
  expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "draining", done: false });
  expect(await stopped).toBe(0);
});

test("the longest drain.timeout that there is does not end a running stream at once", async ({
  startUpstream,
  spawnPerennial,
}) => {
  const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "config.yaml");
  writeFileSync(file, "drain: { timeout: 2147483647ms }\n");
  const { running, upstream } = await startEndless({ startUpstream, spawnPerennial }, ["--config", file]);
  let stopped: Promise<number | string> | undefined;
  const onRead = () => {
    stopped ??= running.stop("SIGTERM");
  };
  const seen = chat(`${running.url}/v1`, {}, { onRead });
  await expect.poll(() => running.output()).toContain("draining");
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(running.process.exitCode).toBe(null);
  for (const socket of upstream.sockets) socket.end();
  expect(readStream((await seen).body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  expect(await stopped).toBe(0);
});

test("SIGKILL in mid-stream is a cut for the client, never a clean end", async ({ startUpstream, spawnPerennial }) => {
  const { running } = await startEndless({ startUpstream, spawnPerennial }, []);
  const seen = await chat(`${running.url}/v1`, {}, { onRead: () => void running.stop("SIGKILL") });
  expect(seen.end).toBe("cut");
});

test("a second signal ends it at once", async ({ startUpstream, spawnPerennial }) => {
  const { running } = await startEndless({ startUpstream, spawnPerennial }, []);
  await chat(
    `${running.url}/v1`,
    {},
    {
      onRead: () => {
        void running.stop("SIGTERM");
        setTimeout(() => running.process.kill("SIGTERM"), 100);
      },
    },
  );
  expect(await running.stop()).toBe(1);
});

test.each([
  ["--host", "perennial.invalid"],
  ["--host", "256.0.0.1"],
])("a host that cannot be found is named in one line: %s %s", (flag, host) => {
  const { status, stderr } = run([flag, host, "--port", "0"], { PERENNIAL_OPEN: "true" });
  expect(stderr).toMatch(new RegExp(`^host: ${host} .*\\(E[A-Z_]+\\)\n$`));
  expect(status).toBe(2);
});

test("a port that is taken is explained, with the way out", async ({ spawnPerennial }) => {
  const running = await spawnPerennial(["--port", "0"]);
  const second = run(["--port", new URL(running.url).port]);
  expect(second.status).toBe(1);
  expect(second.stderr).toMatch(/EADDRINUSE.*--port/);
});

test.each([
  ["a host for everybody without keys", ["--host", "0.0.0.0"], /host.*auth\.keys.*open/s],
  ["an unknown flag", ["--prot", "1"], /--prot/],
  ["an unknown command", ["sevre"], /sevre/],
  ["an upstream that is no URL", ["--upstream", "localhost:8000"], /--upstream.*http/s],
  ["a configuration that is not there", ["--config", "nowhere.yaml"], /nowhere\.yaml/],
])("%s ends with exit code 2 and a reason", (_what, args, reason) => {
  const { status, stderr, stdout } = run(args);
  expect(status).toBe(2);
  expect(stderr).toMatch(reason);
  expect(stdout).toBe("");
});

test("check-config prints what it would run with, and no secret", () => {
  const { status, stdout } = run(["check-config"], {
    PERENNIAL_UPSTREAM: "http://127.0.0.1:1/v1",
    PERENNIAL_API_KEY: "sk-very-secret",
  });
  expect(status).toBe(0);
  expect(stdout).toContain("http://127.0.0.1:1/v1");
  expect(stdout).not.toContain("sk-very");
});
