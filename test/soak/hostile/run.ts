/**
 * Hostile upstreams and clients against one Perennial with a small heap, and honest clients beside them: does it live, are the honest
 * ones served, does it hold afterwards what it held before? Exits with 1 when not.
 *   node test/soak/main.ts --hostile [--minutes 10 | --seconds N] [--each 12] [--healthy 10] [--wave 45] [--only NAME]
 */
import { fork } from "node:child_process";
import { once, setMaxListeners } from "node:events";
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sumOf } from "../../support/prometheus.ts";
import { type Check, checkMetrics, compareHoldings, waitForQuiet } from "../leaks.ts";
import { createAsk } from "../messages.ts";
import { type PerennialProcess, startPerennialProcess } from "../perennial-process.ts";
import { type HealthyVisit, visitHealthy } from "./healthy-client.ts";
import { HOSTILE_CLIENTS, type HostileClient, live } from "./hostile-clients.ts";
import { type HostileSoak, printHostileSoak, problemsOf } from "./report.ts";
import type { UpstreamQuestion } from "./upstream-process.ts";

const { values } = parseArgs({
  options: {
    hostile: { type: "boolean" },
    minutes: { type: "string", default: "10" },
    seconds: { type: "string" },
    /** So many of each kind of hostile client, while it is their turn. */
    each: { type: "string", default: "12" },
    healthy: { type: "string", default: "10" },
    /** Seconds for which the same kinds are hostile. */
    wave: { type: "string", default: "45" },
    only: { type: "string" },
  },
});
const seconds = values.seconds === undefined ? Number(values.minutes) * 60 : Number(values.seconds);
const waveMs = Number(values.wave) * 1_000;
if (!(seconds > 0) || !(waveMs > 0)) throw new Error("--minutes, --seconds and --wave are numbers above 0");
const kinds = HOSTILE_CLIENTS.filter(({ name }) => (values.only ?? name) === name);
if (kinds.length === 0) throw new Error(`--only is one of: ${HOSTILE_CLIENTS.map(({ name }) => name).join("; ")}`);

/** Patient, as Perennial comes: what is hostile lives until its client leaves. Joined answers are asked as streams. */
const SETTINGS = {
  timeouts: { connect: "5s", firstToken: "60s", idle: "60s", total: "10m" },
  nonStreaming: "viaStream",
  limits: { maxClientConnections: 2_000 },
};
const WARM_UP_STREAMS = 300;
const SAMPLE_MS = 2_000;
/**
 * Resident memory that may stay: the allocator keeps the holes of what was many times as much, and as much after one minute as after four.
 * What is held for somebody is in the heap and the buffers, of which little may stay. In bytes.
 */
const RSS_GROWTH = 224 * 1024 ** 2;
/** For what is compiled of the paths that no honest stream of the warm-up takes; docs/soak.md says what was measured. In bytes. */
const HEAP_GROWTH = 8 * 1024 ** 2;
/** A second apart. */
const REST_TRIES = 20;

const upstream = fork(fileURLToPath(new URL("./upstream-process.ts", import.meta.url)));
const ask = createAsk<UpstreamQuestion, unknown>(upstream);
const connections = async (): Promise<number> => (await ask("connections")) as number;
const perennial: PerennialProcess = await startPerennialProcess((await ask("url")) as string, () => {}, {
  nodeArgs: ["--max-old-space-size=512"],
  settings: SETTINGS,
});
const stop = new AbortController();
// Each hostile client listens.
setMaxListeners(0, stop.signal);
let ended: number | string | undefined;
void perennial.exited.then((code) => {
  ended = code;
  stop.abort();
});

const healthy: HealthyVisit[] = [];
const hostile = new Map<string, number>();
let peakRss = 0;

async function beHealthy(agent: Agent, keep: HealthyVisit[]): Promise<void> {
  const visit = await visitHealthy(perennial.url, agent);
  if (!stop.signal.aborted || visit.end === "whole") keep.push(visit);
  // One that is refused at once does not come back at once.
  if (visit.end !== "whole") await sleep(200);
}

async function warmUp(): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  for (let left = WARM_UP_STREAMS; left > 0; left -= 30) {
    await Promise.all(Array.from({ length: 30 }, () => beHealthy(agent, [])));
  }
  agent.destroy();
}

/** In waves of two kinds: all kinds at once would take the time that each of them needs to do harm. */
async function beHostile(): Promise<void> {
  for (let wave = 0; !stop.signal.aborted; wave++) {
    const ended = new AbortController();
    setMaxListeners(0, ended.signal);
    const end = (): void => ended.abort();
    const timer = setTimeout(end, waveMs);
    stop.signal.addEventListener("abort", end, { once: true });
    const pair = new Set([0, 1].map((i) => kinds[(2 * wave + i) % kinds.length] as HostileClient));
    const clients = [...pair].flatMap((kind) => Array.from({ length: Number(values.each) }, () => kind));
    await Promise.all(clients.map((client) => comeAgain(client, ended.signal)));
    clearTimeout(timer);
  }
}

async function comeAgain(client: HostileClient, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await live(perennial.url, client, ended);
    hostile.set(client.name, (hostile.get(client.name) ?? 0) + 1);
    await sleep(50);
  }
}

/** What is let go of late is no leak: it is waited for, but not for long. */
async function checksAtRest(): Promise<Check[]> {
  for (let tries = 1; ; tries++) {
    const after = await waitForQuiet(perennial, connections);
    const compared = compareHoldings(before.holdings, after.holdings, after.connections, {
      rssGrowth: RSS_GROWTH,
      heapGrowth: HEAP_GROWTH,
    });
    const checks = [...compared, ...checkMetrics(await perennial.metrics())];
    if (tries === REST_TRIES || checks.every(({ passed }) => passed)) return checks;
    await sleep(1_000);
  }
}

await warmUp();
const before = await waitForQuiet(perennial, connections);
const sampler = setInterval(async () => {
  const text = await perennial.metrics().catch(() => "");
  peakRss = Math.max(peakRss, sumOf(text, "process_resident_memory_bytes"));
}, SAMPLE_MS);
const began = performance.now();
const timer = setTimeout(() => stop.abort(), seconds * 1_000);
const agent = new Agent({ keepAlive: true });
const honest = Array.from({ length: Number(values.healthy) }, async () => {
  while (!stop.signal.aborted) await beHealthy(agent, healthy);
});
await Promise.all([beHostile(), ...honest]);
clearTimeout(timer);
clearInterval(sampler);
agent.destroy();
const tookSeconds = (performance.now() - began) / 1_000;

const problems: string[] = [];
let checks: Check[] = [];
if (ended !== undefined) {
  const last = perennial.oddLines.filter((line) => /FATAL|heap|Error/.test(line)).slice(0, 3);
  problems.push(`Perennial ended (${ended}) after ${tookSeconds.toFixed(0)} s: ${last.join(" | ").slice(0, 600)}`);
} else {
  checks = await checksAtRest();
  const exitCode = await perennial.stop();
  if (exitCode !== 0) problems.push(`Perennial ended with ${exitCode} on SIGTERM`);
}
upstream.disconnect();
await once(upstream, "exit");

const soak: HostileSoak = { seconds: tookSeconds, hostile, healthy, peakRss, checks, problems };
process.stdout.write(`${printHostileSoak(soak)}\n`);
process.exitCode = problemsOf(soak).length === 0 ? 0 : 1;
