/** A real model server as a test runs it: llama.cpp in a child process that can be killed and started again on its port. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { VENV_PYTHON } from "./environment.ts";

export interface LlamaServer {
  /** Base URL for clients, with `/v1`. */
  readonly baseUrl: string;
  /** Starts it on its port and waits until the model is loaded; kills the one that runs. */
  start(): Promise<void>;
  /** SIGKILL: no goodbye to anyone. Returns once the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: it says nothing more, but its connections stay open. */
  freeze(): void;
  /** Whether it works on a request: reading the prompt, or answering. */
  isBusy(): Promise<boolean>;
}

const START_MS = 120_000;
const POLL_MS = 25;
const TAIL = 30;

/** @param flags of serve.py. */
export async function startLlamaServer(flags: readonly string[] = []): Promise<LlamaServer> {
  if (!existsSync(VENV_PYTHON))
    throw new Error("the model server is not installed: run `npm run test:llama`, which does that first");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    await kill();
    const started = performance.now();
    const tail: string[] = [];
    // It ends when its standard input does, so that it outlives no test, however that ends.
    const server = spawn(VENV_PYTHON, [join(import.meta.dirname, "serve.py"), String(port), ...flags], {
      stdio: ["pipe", "ignore", "pipe"],
    });
    child = server;
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      tail.push(...text.trimEnd().split("\n"));
      tail.splice(0, tail.length - TAIL);
    });
    while (!(await isHealthy())) {
      const ended = server.exitCode ?? server.signalCode;
      const waited = performance.now() - started;
      if (ended !== null) throw new Error(`the model server ended with ${ended} before it was ready:\n${tail.join("\n")}`);
      if (waited > START_MS) throw new Error(`the model server was not ready after ${START_MS} ms:\n${tail.join("\n")}`);
      await sleep(POLL_MS);
    }
    const took = Math.round(performance.now() - started);
    process.stdout.write(`llama: process ${server.pid} has loaded the model after ${took} ms, on port ${port}\n`);
  }

  async function kill(): Promise<void> {
    const server = child;
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const gone = new Promise((resolve) => server.once("exit", resolve));
    process.kill(server.pid, "SIGKILL");
    await gone;
  }

  function freeze(): void {
    if (child?.pid !== undefined) process.kill(child.pid, "SIGSTOP");
  }

  async function isHealthy(): Promise<boolean> {
    try {
      return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  }

  async function isBusy(): Promise<boolean> {
    const response = await fetch(`${url}/slots`, { signal: AbortSignal.timeout(5_000) });
    const slots = (await response.json()) as { is_processing: boolean }[];
    return slots.some((slot) => slot.is_processing);
  }

  await start();
  return { baseUrl: `${url}/v1`, start, kill, freeze, isBusy };
}

/** A port that is free now; the server takes it, and takes it again when it is started again. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
