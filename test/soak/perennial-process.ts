/** Perennial as a user runs it, in a process of its own, watched from outside: its log lines, its metrics, what it holds. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Holdings } from "./holdings.ts";
import { createAsk } from "./messages.ts";

export interface PerennialProcess {
  readonly url: string;
  readonly pid: number;
  /** Lines that are neither the end of an exchange nor about starting and stopping: there should be none. */
  readonly oddLines: readonly string[];
  holdings(): Promise<Holdings>;
  metrics(): Promise<string>;
  /** The exit code, or the signal that ended it, once it has ended. */
  readonly exited: Promise<number | string>;
  /** @returns the exit code, or the signal that ended it. */
  stop(): Promise<number | string>;
}

/** One exchange's line, as far as it matters here. */
export interface ExchangeLine {
  readonly model: string;
  readonly outcome: string;
  readonly failure?: string;
  /** Why a broken answer did not go on. */
  readonly seam?: string;
  readonly paidTwice?: { readonly tokens: number };
}

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const PROBE = new URL("./probe.ts", import.meta.url).href;

/** Short waits, so that what stalls is over soon; everything else as Perennial comes. */
const SETTINGS = {
  port: 0,
  timeouts: { connect: "2s", firstToken: "1s", idle: "1s", alive: "2s", total: "60s", unstreamed: "60s" },
  retry: { maxAttempts: 3, backoff: { initial: "5ms", max: "50ms" } },
  drain: { timeout: "1s" },
  log: { level: "info", format: "json" },
};

export async function startPerennialProcess(
  baseUrl: string,
  onExchange: (line: ExchangeLine) => void,
  { nodeArgs = [], settings = {}, upstream = {} }: { nodeArgs?: readonly string[]; settings?: object; upstream?: object } = {},
): Promise<PerennialProcess> {
  const folder = mkdtempSync(join(tmpdir(), "perennial-soak-"));
  const file = join(folder, "perennial.yaml");
  // JSON is YAML.
  const upstreams = [{ baseUrl, keepAlive: "1s", ...upstream }];
  writeFileSync(file, JSON.stringify({ ...SETTINGS, upstreams, ...settings }));
  const child = spawn(process.execPath, [...nodeArgs, "--expose-gc", "--import", PROBE, MAIN, "--config", file], {
    env: { PATH: process.env.PATH ?? "" },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const oddLines: string[] = [];
  const exited = once(child, "exit").then(([code, signal]) => {
    rmSync(folder, { recursive: true, force: true });
    return (code ?? signal) as number | string;
  });
  const url = await new Promise<string>((resolve, reject) => {
    readLines(child, (line) => {
      const json = parseLine(line);
      if (json?.outcome !== undefined) onExchange(json as unknown as ExchangeLine);
      else if (typeof json?.url === "string") resolve(json.url);
      else if (json?.level !== "info") oddLines.push(line);
    });
    void exited.then((end) => reject(new Error(`Perennial ended (${end}) before it listened:\n${oddLines.join("\n")}`)));
  });
  const ask = createAsk<null, Holdings>(child);
  return {
    url,
    pid: child.pid as number,
    oddLines,
    holdings: () => ask(null),
    metrics: () => fetchText(`${url}/metrics`),
    exited,
    stop() {
      child.kill("SIGTERM");
      return exited;
    },
  };
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const output of [child.stdout, child.stderr]) {
    if (output !== null) createInterface({ input: output }).on("line", onLine);
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      resolve(text);
    }).on("error", reject);
  });
}
