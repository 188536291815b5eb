/** A client in another language: a process that is sent jobs, one JSON line each, and answers what it was told. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Client, Told } from "./job.ts";

export interface ProcessClient extends Client {
  /** Ends the process. */
  stop(): Promise<void>;
}

/** Its process starts with the first job. */
export function createProcessClient(name: string, command: string, args: readonly string[]): ProcessClient {
  const waiting: { resolve: (told: Told) => void; reject: (error: Error) => void }[] = [];
  let child: ChildProcess | undefined;
  let errors = "";

  function start(): ChildProcess {
    const started = spawn(command, args, {
      // Nothing of the machine's own: no proxy, no tracing, no key.
      env: { PATH: process.env.PATH ?? "", PYTHONDONTWRITEBYTECODE: "1", OPENAI_API_KEY: "sk-test" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    createInterface({ input: started.stdout }).on("line", (line) => waiting.shift()?.resolve(JSON.parse(line) as Told));
    started.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    // A process that has ended is told of in `close`.
    started.stdin.on("error", () => {});
    started.on("close", () => {
      child = undefined;
      for (const { reject } of waiting.splice(0)) reject(new Error(`${name} ended:\n${errors.slice(-2_000)}`));
    });
    return started;
  }

  return {
    name,
    plain: true,
    ask(job) {
      child ??= start();
      const { stdin } = child;
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        stdin?.write(`${JSON.stringify(job)}\n`);
      });
    },
    async stop() {
      if (child === undefined) return;
      const ended = once(child, "close");
      child.stdin?.end();
      await ended;
    },
  };
}
