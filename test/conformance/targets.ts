/** The gateways under test: the upstream itself, nginx, Perennial, and whatever the user has started; each with its upstreams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChaosServer, type ChaosServerOptions, createChaosServer } from "../../src/chaos/chaos-server.ts";
import type { Patience, Peer, RunningPeer } from "../support/peers/peer.ts";
import { PEERS } from "../support/peers/peers.ts";
import { type SpawnedPerennial, spawnPerennial } from "../support/spawn-perennial.ts";
import { startByteProxies } from "./byte-proxy.ts";
import type { CaseFraming, Setup } from "./cases.ts";

export interface Target {
  readonly name: string;
  /** Base URL with `/v1`, by framing of the upstream behind it, or by what is set up; what it is not set up for is not asked of it. */
  readonly urls: ReadonlyMap<CaseFraming | Setup, string>;
  /** What its requests need, for each of them. */
  readonly headers?: ReadonlyMap<CaseFraming | Setup, Readonly<Record<string, string>>>;
  /** The same, started anew for one case; undefined where one process serves them all. */
  readonly fresh?: () => Promise<Target>;
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

/** Short, so that nobody waits a minute for what is over in one; the same for every gateway of a run. */
export const QUICK: Patience = { silenceMs: 600, totalMs: 5_000 };
/** For gateways that may need a second for what is no fault of the upstream. */
export const UNHURRIED: Patience = { silenceMs: 2_000, totalMs: 8_000 };

/** Perennial's defaults, but for the patience. */
const PERENNIAL_YAML = (upstreams: string, { silenceMs, totalMs }: Patience): string => `port: 0
${upstreams}
timeouts: { firstToken: ${silenceMs}ms, idle: ${silenceMs}ms, alive: ${silenceMs + 1_400}ms, total: ${totalMs}ms, unstreamed: ${totalMs}ms }
retry: { outage: ${silenceMs}ms, backoff: { initial: 1ms }, budget: { min: 1000000 } }
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
export async function startPerennials(upstreams: Upstreams, patience: Patience): Promise<Target> {
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
      await writeFile(file, PERENNIAL_YAML(upstreamsYaml(kind, upstream, upstreams.second), patience));
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

/** The byte proxy, and the gateways that have a recipe; nginx is asked for without being named. */
export const PEER_NAMES: readonly string[] = ["plain", ...PEERS.map(({ name }) => name).filter((name) => name !== "nginx")];

/** @throws {Unavailable} when it does not install here */
export async function startPeer(
  name: string,
  upstreams: Upstreams,
  patience: Patience,
  report: (line: string) => void,
): Promise<Target> {
  if (name === "plain") return { ...(await startByteProxies(upstreams)), name };
  const peer = PEERS.find((one) => one.name === name) as Peer;
  peer.install(report);
  const running: [CaseFraming | Setup, RunningPeer][] = [];
  const stop = async (): Promise<string> => (await Promise.all(running.map(([, one]) => one.stop()))).join("");
  try {
    for (const [kind, upstream] of upstreams.urls) {
      // None of them can be told to go on with an answer; a second server is set up where it takes one line.
      if (kind === "continuing" || (kind === "two upstreams" && name !== "nginx")) continue;
      const second = kind === "two upstreams" ? upstreams.second : undefined;
      running.push([kind, await peer.start(upstream, patience, second)]);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const urls = new Map(running.map(([kind, { url }]) => [kind, url]));
  const headers = new Map(running.map(([kind, one]) => [kind, one.headers]));
  const fresh = peer.isStartedForEach && (() => startPeer(name, upstreams, patience, report));
  return { name, urls, headers, stop, ...(fresh === undefined ? {} : { fresh }) };
}

/** Of what stands between, as it was run; undefined for what has none. */
export function versionOf(name: string): string | undefined {
  return PEERS.find((peer) => peer.name === name)?.version();
}

/** A gateway of the user's, in front of a chaos server of the user's. */
export function givenTarget(name: string, url: string): Target {
  return { name, urls: new Map([["default", url]]), stop: async () => "" };
}
