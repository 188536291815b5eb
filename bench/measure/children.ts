/** The processes of the benchmark: each with as many files as it may open, and all of them ended with it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** For configuration files and what the programs write; removed at the end. */
export const FOLDER = mkdtempSync(join(tmpdir(), "perennial-bench-"));
const KILL_AFTER_MS = 3_000;
const LOOK_MS = 5;
const children = new Set<ChildProcess>();

export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it has said on stderr and stdout, its end. */
  readonly said: () => string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Messages go to and fro; stdout comes through a pipe. */
  readonly isOurs?: boolean;
}

let logs = 0;

/** Logs are written as they are by default, to a file: nobody reads them, and nobody is spared them. */
export function startChild(command: string, args: readonly string[], { env, cwd, isOurs = false }: StartOptions = {}): Child {
  const log = join(FOLDER, `${logs++}.log`);
  const file = openSync(log, "a");
  const child = spawn("sh", ["-c", 'ulimit -n "$(ulimit -H -n)"; exec "$@"', "sh", command, ...args], {
    cwd: cwd ?? FOLDER,
    env: { ...process.env, ...env },
    stdio: isOurs ? ["ignore", "pipe", file, "ipc"] : ["ignore", file, file],
    serialization: "advanced",
  });
  children.add(child);
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  void gone.then(() => children.delete(child));
  return {
    pid: child.pid as number,
    process: child,
    said: () => readFileSync(log, "utf8").slice(-3000),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await Promise.race([gone, sleep(KILL_AFTER_MS)]);
      child.kill("SIGKILL");
      await gone;
    },
  };
}

export async function stopAll(): Promise<void> {
  for (const child of children) child.kill("SIGKILL");
  while (children.size > 0) await sleep(LOOK_MS);
  rmSync(FOLDER, { recursive: true, force: true });
}

/** Not every program can pick a port by itself. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

/** @throws when it has ended, or does not listen within that time */
export async function untilListening(port: number, child: Child, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    if (child.process.exitCode !== null) throw new Error(`it ended with ${child.process.exitCode}: ${child.said()}`);
    if (await accepts(port)) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`it does not listen after ${withinMs} ms: ${child.said()}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
