/** The gateways under test: the upstream itself, nginx, Perennial, and whatever the user has started; each with its upstreams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChaosServer, type ChaosServerOptions, createChaosServer } from "../../src/chaos/chaos-server.ts";
import { type SpawnedPerennial, spawnPerennial } from "../support/spawn-perennial.ts";
import type { CaseFraming, Setup } from "./cases.ts";
import { startNginx } from "./nginx.ts";

export interface Target {
  readonly name: string;
  /** Base URL with `/v1`, by framing of the upstream behind it, or by what is set up; what it is not set up for is not asked of it. */
  readonly urls: ReadonlyMap<CaseFraming | Setup, string>;
  /** What the target says went wrong inside it; empty when nothing did. */
  stop(): Promise<string>;
}

/** How long a stalled upstream stays silent: longer than anybody's patience here. */
const STALL_MS = 30_000;

/** Where the upstreams listen, and the second of two. */
export interface Upstreams extends Target {
  readonly second: string | undefined;
}

function upstreamsYaml(kind: CaseFraming | Setup, baseUrl: string, second: string | undefined): string {
  if (kind === "two upstreams") return `upstreams: [{ name: a, baseUrl: ${baseUrl} }, { name: b, baseUrl: ${second} }]`;
  if (kind === "continuing") return `upstreams: [{ baseUrl: ${baseUrl}, continuation: assistant }]\nrecovery: continue`;
  return `upstreams: [{ baseUrl: ${baseUrl} }]`;
}

/** Short, so that nobody waits a minute for what is over in one; else Perennial's defaults. */
const PERENNIAL_YAML = (upstreams: string): string => `port: 0
${upstreams}
timeouts: { firstToken: 600ms, idle: 600ms, alive: 2s, total: 5s, unstreamed: 5s }
retry: { outage: 500ms, backoff: { initial: 1ms }, budget: { min: 1000000 } }
drain: { timeout: 0 }
`;

/** One chaos server for each framing, and those of the setups. */
export async function startUpstreams(framings: readonly CaseFraming[], setups: readonly Setup[] = []): Promise<Upstreams> {
  const urls = new Map<CaseFraming | Setup, string>();
  const servers: ChaosServer[] = [];
  const start = async (options: ChaosServerOptions): Promise<string> => {
    const server = createChaosServer({ tokenDelayMs: 1, stallMs: STALL_MS, ...options });
    servers.push(server);
    return (await server.listen(0, "127.0.0.1")).url;
  };
  for (const framing of framings) urls.set(framing, await start(framing === "default" ? {} : { framing }));
  for (const setup of setups) urls.set(setup, await start(setup === "two upstreams" ? { upstream: "a" } : {}));
  const second = setups.includes("two upstreams") ? await start({ upstream: "b" }) : undefined;
  return {
    name: "direct",
    urls,
    second,
    async stop() {
      await Promise.all(servers.map((server) => server.close()));
      return "";
    },
  };
}

/** Perennial as a user runs it, a process for each upstream. */
export async function startPerennials(upstreams: Upstreams): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  const urls = new Map<CaseFraming | Setup, string>();
  const processes: SpawnedPerennial[] = [];
  const stop = async (): Promise<(number | string)[]> => {
    const ends = await Promise.all(processes.map((perennial) => perennial.stop()));
    await rm(folder, { recursive: true });
    return ends;
  };
  try {
    for (const [kind, upstream] of upstreams.urls) {
      const file = join(folder, `${kind}.yaml`);
      await writeFile(file, PERENNIAL_YAML(upstreamsYaml(kind, upstream, upstreams.second)));
      const perennial = await spawnPerennial(["--config", file]);
      processes.push(perennial);
      urls.set(kind, `${perennial.url}/v1`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "perennial",
    urls,
    async stop() {
      const ends = await stop();
      const bugs = processes.flatMap((each) => each.output().split("\n")).filter((line) => line.includes("this is a bug"));
      return [...ends.filter((end) => end !== 0).map((end) => `ended with ${end}`), ...new Set(bugs)].join("\n");
    },
  };
}

/** @returns undefined when nginx is not installed */
export async function startNginxTarget(upstreams: Upstreams): Promise<Target | undefined> {
  // It has nothing that goes on with an answer.
  const kinds = [...upstreams.urls.keys()].filter((kind) => kind !== "continuing");
  const portOf = (url = ""): number => Number(new URL(url).port);
  const nginx = await startNginx(
    kinds.map((kind) => ({
      port: portOf(upstreams.urls.get(kind)),
      second: kind === "two upstreams" ? portOf(upstreams.second) : undefined,
    })),
  );
  if (nginx === undefined) return undefined;
  const urls = new Map(kinds.map((kind, at) => [kind, `http://127.0.0.1:${nginx.ports[at]}/v1`]));
  return { name: "nginx", urls, stop: nginx.stop };
}

/** A gateway of the user's, in front of a chaos server of the user's. */
export function givenTarget(name: string, url: string): Target {
  return { name, urls: new Map([["default", url]]), stop: async () => "" };
}
