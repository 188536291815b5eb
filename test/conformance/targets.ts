/** The gateways under test: the upstream itself, nginx, Perennial, and whatever the user has started; each with its upstreams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import type { Patience, Peer, RunningPeer } from "../support/peers/peer.ts";
import { PEERS } from "../support/peers/peers.ts";
import { type SpawnedPerennial, spawnPerennial } from "../support/spawn-perennial.ts";
import { startByteProxies } from "./byte-proxy.ts";
import type { CaseFraming } from "./cases.ts";

export interface Target {
  readonly name: string;
  /** Base URL with `/v1`, by framing of the upstream behind it. */
  readonly urls: ReadonlyMap<CaseFraming, string>;
  /** What its requests need, for the upstream of each framing. */
  readonly headers?: ReadonlyMap<CaseFraming, Readonly<Record<string, string>>>;
  /** What the target says went wrong inside it; empty when nothing did. */
  stop(): Promise<string>;
}

/** How long a stalled upstream stays silent: longer than anybody's patience here. */
const STALL_MS = 30_000;

/** Short, so that nobody waits a minute for what is over in one; the same for every gateway of a run. */
export const QUICK: Patience = { silenceMs: 600, totalMs: 5_000 };
/** For gateways that may need a second for what is no fault of the upstream. */
export const UNHURRIED: Patience = { silenceMs: 2_000, totalMs: 8_000 };

/** Perennial's defaults, but for the patience. */
const PERENNIAL_YAML = (baseUrl: string, { silenceMs, totalMs }: Patience): string => `port: 0
upstreams: [{ baseUrl: ${baseUrl} }]
timeouts: { firstToken: ${silenceMs}ms, idle: ${silenceMs}ms, alive: ${silenceMs + 1_400}ms, total: ${totalMs}ms, unstreamed: ${totalMs}ms }
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
export async function startPerennials(upstreams: Target, patience: Patience): Promise<Target> {
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
      await writeFile(file, PERENNIAL_YAML(upstream, patience));
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

/** The byte proxy, and the gateways that have a recipe; nginx is asked for without being named. */
export const PEER_NAMES: readonly string[] = ["plain", ...PEERS.map(({ name }) => name).filter((name) => name !== "nginx")];

/** @throws {Unavailable} when it does not install here */
export async function startPeer(
  name: string,
  upstreams: Target,
  patience: Patience,
  report: (line: string) => void,
): Promise<Target> {
  if (name === "plain") return { ...(await startByteProxies(upstreams)), name };
  const peer = PEERS.find((one) => one.name === name) as Peer;
  peer.install(report);
  const running: [CaseFraming, RunningPeer][] = [];
  const stop = async (): Promise<string> => (await Promise.all(running.map(([, one]) => one.stop()))).join("");
  try {
    for (const [framing, upstream] of upstreams.urls) running.push([framing, await peer.start(upstream, patience)]);
  } catch (error) {
    await stop();
    throw error;
  }
  const urls = new Map(running.map(([framing, { url }]) => [framing, url]));
  const headers = new Map(running.map(([framing, one]) => [framing, one.headers]));
  return { name, urls, headers, stop };
}

/** Of what stands between, as it was run; undefined for what has none. */
export function versionOf(name: string): string | undefined {
  return PEERS.find((peer) => peer.name === name)?.version();
}

/** A gateway of the user's, in front of a chaos server of the user's. */
export function givenTarget(name: string, url: string): Target {
  return { name, urls: new Map([["default", url]]), stop: async () => "" };
}
