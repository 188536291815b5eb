/** Perennial as a user runs it: a process of its own, with its output kept and its end awaited by id. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { PROGRAM_ENV } from "./program-env.ts";

export interface SpawnedPerennial {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Where it listens, such as `http://127.0.0.1:40123`. */
  readonly url: string;
  /** Everything it has written to stdout and stderr. */
  output(): string;
  /** Sends the signal, once, and waits for the end. @returns the exit code, or the signal's name. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
  /** Ends it whatever it is doing, if it has not ended. */
  close(): Promise<number | string>;
}

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Starts `perennial ARGS` and waits until it listens. */
export async function spawnPerennial(args: readonly string[], env: Record<string, string> = {}): Promise<SpawnedPerennial> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...PROGRAM_ENV, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<number | string>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")),
  );
  const url = await new Promise<string>((resolve, reject) => {
    const onText = (chunk: Buffer): void => {
      output += chunk;
      const listening = /listening on (http:\/\/[^\s",]+)/.exec(output)?.[1];
      if (listening !== undefined) resolve(listening);
    };
    child.stdout.on("data", onText);
    child.stderr.on("data", onText);
    void ended.then((end) => reject(new Error(`perennial ended (${end}) before it listened:\n${output}`)));
  });
  function stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    child.kill(signal);
    return ended;
  }
  return {
    process: child,
    pid: child.pid as number,
    url,
    output: () => output,
    stop,
    close: () => stop("SIGKILL"),
  };
}
