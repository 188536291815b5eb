/** A gateway's process: with a folder and a recipe of its own, awaited until it listens, and ended by its id. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Patience, RunningPeer } from "./peer.ts";

/** A Python gateway imports for long on a busy machine. */
const START_MS = 120_000;
const STOP_MS = 10_000;
const TAIL = 2_000;

export interface PeerProcess {
  readonly name: string;
  /** A file of recipes/. */
  readonly recipe: string;
  readonly upstream: string;
  readonly patience: Patience;
  /** What its recipe asks for beside what every recipe may. */
  readonly values?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Where clients find its OpenAI API. @defaultValue `/v1` */
  readonly path?: string;
  /** What to run, told the filled recipe's file and text, the folder, and the port to listen on. */
  command(filled: Filled): readonly string[];
  headers?(filled: Filled): Readonly<Record<string, string>>;
}

export interface Filled {
  readonly file: string;
  readonly text: string;
  readonly folder: string;
  readonly port: number;
}

export async function startProcess({
  name,
  recipe,
  upstream,
  patience,
  values,
  env,
  path = "/v1",
  ...peer
}: PeerProcess): Promise<RunningPeer> {
  const folder = await mkdtemp(join(tmpdir(), `peer-${name}-`));
  const port = await freePort();
  const source = await readFile(new URL(`recipes/${recipe}`, import.meta.url), "utf8");
  const text = fill(source, { folder, port, upstream, patience, values });
  const file = join(folder, recipe);
  await writeFile(file, text);
  const filled = { file, text, folder, port };
  const [program = "", ...args] = peer.command(filled);
  const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (part: Buffer) => {
      output = (output + part).slice(-TAIL);
    });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()).once("error", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child);
  } catch (error) {
    await stop();
    throw new Error(`${name} ${(error as Error).message}:\n${output}`);
  }
  return {
    url: `http://127.0.0.1:${port}${path}`,
    headers: peer.headers?.(filled) ?? {},
    pid: child.pid,
    async stop() {
      const died = child.exitCode ?? child.signalCode;
      await stop();
      return died === null ? "" : `it had ended with ${died}:\n${output}`;
    },
  };
}

/** @throws when the recipe asks for what there is not */
export function fill(
  source: string,
  {
    folder,
    port,
    upstream,
    patience,
    values: own,
  }: Pick<PeerProcess, "upstream" | "patience"> & {
    readonly values?: PeerProcess["values"] | undefined;
  } & Pick<Filled, "folder" | "port">,
): string {
  const { hostname, host, port: upstreamPort } = new URL(upstream);
  const values: Readonly<Record<string, string | number>> = {
    FOLDER: folder,
    PORT: port,
    UPSTREAM: upstream,
    UPSTREAM_HOST: host,
    UPSTREAM_ADDRESS: hostname,
    UPSTREAM_PORT: upstreamPort,
    PATIENCE_MS: patience.silenceMs,
    PATIENCE_S: patience.silenceMs / 1000,
    TOTAL_S: patience.totalMs / 1000,
    ...own,
  };
  return source.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`a recipe asks for {{${name}}}, which there is not`);
    return String(value);
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended with ${child.exitCode ?? child.signalCode}`);
    const socket = connect(port, "127.0.0.1");
    const listens = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (listens) return;
    await sleep(50);
  }
  throw new Error(`does not listen after ${START_MS / 1000} s`);
}
