/** The gateways under test: the upstream itself, nginx, Perennial, and whatever the user has started; each with its upstreams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { type SpawnedPerennial, spawnPerennial } from "../support/spawn-perennial.ts";
import type { CaseFraming } from "./cases.ts";
import { startNginx } from "./nginx.ts";

export interface Target {
  readonly name: string;
  /** Base URL with `/v1`, by framing of the upstream behind it. */
  readonly urls: ReadonlyMap<CaseFraming, string>;
  /** What the target says went wrong inside it; empty when nothing did. */
  stop(): Promise<string>;
}

/** How long a stalled upstream stays silent: longer than anybody's patience here. */
const STALL_MS = 30_000;

/** Short, so that nobody waits a minute for what is over in one; else Perennial's defaults. */
const PERENNIAL_YAML = (baseUrl: string): string => `port: 0
upstreams: [{ baseUrl: ${baseUrl} }]
timeouts: { firstToken: 600ms, idle: 600ms, alive: 2s, total: 5s, unstreamed: 5s }
retry: { outage: 500ms, backoff: { initial: 1ms }, budget: { min: 1000000 } }
drain: { timeout: 0 }
`;

/** One chaos server for each framing. */
export async function startUpstreams(framings: readonly CaseFraming[]): Promise<Target> {
  const urls = new Map<CaseFraming, string>();
  const servers = await Promise.all(
    framings.map(async (framing) => {
      const server = createChaosServer({ tokenDelayMs: 1, stallMs: STALL_MS, ...(framing === "default" ? {} : { framing }) });
      urls.set(framing, (await server.listen(0, "127.0.0.1")).url);
      return server;
    }),
  );
  return {
    name: "direct",
    urls,
    async stop() {
      await Promise.all(servers.map((server) => server.close()));
      return "";
    },
  };
}

/** Perennial as a user runs it, a process for each upstream. */
export async function startPerennials(upstreams: Target): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  const urls = new Map<CaseFraming, string>();
  const processes: SpawnedPerennial[] = [];
  const stop = async (): Promise<(number | string)[]> => {
    const ends = await Promise.all(processes.map((perennial) => perennial.stop()));
    await rm(folder, { recursive: true });
    return ends;
  };
  try {
    for (const [framing, upstream] of upstreams.urls) {
      const file = join(folder, `${framing}.yaml`);
      await writeFile(file, PERENNIAL_YAML(upstream));
      const perennial = await spawnPerennial(["--config", file]);
      processes.push(perennial);
      urls.set(framing, `${perennial.url}/v1`);
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
export async function startNginxTarget(upstreams: Target): Promise<Target | undefined> {
  const nginx = await startNginx([...upstreams.urls.values()].map((url) => Number(new URL(url).port)));
  if (nginx === undefined) return undefined;
  const urls = new Map([...upstreams.urls.keys()].map((framing, at) => [framing, `http://127.0.0.1:${nginx.ports[at]}/v1`]));
  return { name: "nginx", urls, stop: nginx.stop };
}

/** A gateway of the user's, in front of a chaos server of the user's. */
export function givenTarget(name: string, url: string): Target {
  return { name, urls: new Map([["default", url]]), stop: async () => "" };
}
