/** What rows are put through. Every load ends by itself: in count, and in time. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Ask } from "../load/ask.ts";
import type { Job, JobDone } from "../load/job.ts";
import type { Running } from "../rows/row.ts";
import type { Load, Upstream } from "./load.ts";
import { type CpuTime, cpuOf, rssOf } from "./processes.ts";
import { type Measured, percentile } from "./results.ts";

export interface Tools {
  readonly load: Load;
  readonly upstream: Upstream;
}

export interface Scenario {
  readonly name: string;
  /** In a process that has done nothing else: memory is not given back. */
  readonly isFresh: boolean;
  measure(running: Running, tools: Tools): Promise<Measured>;
}

/** Until what a start or an opening has left behind is collected. */
const REST_MS = 2_000;

interface Length {
  /** How long streams last, and how long of it is not timed, in seconds. */
  readonly seconds: number;
  readonly settleSeconds: number;
  /** How long as many requests as possible are sent, in milliseconds. */
  readonly fullSpeedMs: number;
  readonly quiet: readonly number[];
  /** For slow rows to come to their end, in milliseconds. */
  readonly patienceMs: number;
}

const FULL: Length = { seconds: 5, settleSeconds: 1.5, fullSpeedMs: 2_500, quiet: [1_000, 5_000], patienceMs: 60_000 };
const QUICK: Length = { seconds: 1.5, settleSeconds: 0.5, fullSpeedMs: 400, quiet: [300], patienceMs: 15_000 };

export function scenarios(isQuick: boolean): readonly Scenario[] {
  const length = isQuick ? QUICK : FULL;
  return [
    paced({ streams: 60, perSecond: 50 }, length),
    paced({ streams: 250, perSecond: 50 }, length),
    paced({ streams: 1_000, perSecond: 10 }, length),
    paced({ streams: 250, perSecond: 50, brokenEvery: 20 }, length),
    fullSpeed("burst", { events: 200, concurrency: 10, streams: 4_000 }, length),
    fullSpeed("short", { events: 4, concurrency: 20, streams: 20_000 }, length),
    start(),
    ...length.quiet.map((streams) => quiet(streams, length)),
  ];
}

interface Pace {
  readonly streams: number;
  readonly perSecond: number;
  readonly brokenEvery?: number;
}

function paced({ streams, perSecond, brokenEvery = 0 }: Pace, { seconds, settleSeconds, patienceMs }: Length): Scenario {
  const events = Math.round(perSecond * seconds);
  return {
    name: brokenEvery === 0 ? `paced ${streams}` : `faults ${streams}`,
    isFresh: false,
    async measure(running, { load }) {
      const { done, cpu } = await underLoad(running, load, {
        ask: { events, everyMs: 1_000 / perSecond },
        streams,
        concurrency: streams,
        beginWithinMs: patienceMs,
        endWithinMs: seconds * 1_000 + patienceMs,
        settleMs: settleSeconds * 1_000,
        brokenEvery,
      });
      return judge(done, {
        ...timesOf(done),
        // What a stream that is broken costs is no cost of events.
        ...(brokenEvery === 0 ? { ...perEvent(cpu, done.events), rssMb: rss(running) } : {}),
      });
    },
  };
}

interface Crowd {
  readonly events: number;
  readonly concurrency: number;
  readonly streams: number;
}

function fullSpeed(
  name: "burst" | "short",
  { events, concurrency, streams }: Crowd,
  { fullSpeedMs, patienceMs }: Length,
): Scenario {
  return {
    name,
    isFresh: false,
    async measure(running, { load }) {
      const { done, cpu } = await underLoad(running, load, {
        ask: { events, everyMs: 0 },
        streams,
        concurrency,
        beginWithinMs: fullSpeedMs,
        endWithinMs: fullSpeedMs + patienceMs,
        settleMs: 0,
        brokenEvery: 0,
      });
      const eventsPerSecond = done.events / (done.wallMs / 1_000);
      if (name === "burst") return judge(done, { ...perEvent(cpu, done.events), eventsPerSecond });
      return judge(done, cpu === undefined ? {} : { requestUs: (cpu.userUs + cpu.systemUs) / done.healthy });
    },
  };
}

function start(): Scenario {
  return {
    name: "start",
    isFresh: true,
    async measure(running) {
      if (running.readyMs === undefined) return {};
      await sleep(REST_MS);
      return { readyMs: running.readyMs, ...optional("idleMb", rss(running)) };
    },
  };
}

function quiet(streams: number, { patienceMs }: Length): Scenario {
  return {
    name: `quiet ${streams}`,
    isFresh: true,
    async measure(running, { load, upstream }) {
      await sleep(REST_MS / 2);
      const before = rss(running);
      let openMs: number | undefined;
      let held: number | undefined;
      const done = await load.run(
        {
          ...targetOf(running),
          ask: { events: 1, everyMs: 0, isHeld: true },
          streams,
          concurrency: streams,
          beginWithinMs: patienceMs,
          endWithinMs: patienceMs,
          settleMs: 0,
          brokenEvery: 0,
        },
        async (withinMs) => {
          openMs = withinMs;
          await sleep(REST_MS / 2);
          held = rss(running);
          upstream.finishHeld();
        },
      );
      // What has not opened is still held.
      upstream.finishHeld();
      return judge(done, {
        ...optional("openMs", openMs),
        ...optional("kibPerStream", held === undefined || before === undefined ? undefined : ((held - before) * 1_024) / streams),
      });
    },
  };
}

type Load_ = Omit<Job, "url" | "headers" | "model"> & { readonly ask: Ask };

async function underLoad(running: Running, load: Load, job: Load_): Promise<{ done: JobDone; cpu: CpuTime | undefined }> {
  const pids = running.pids();
  const before = cpuOf(pids);
  const done = await load.run({ ...targetOf(running), ...job });
  const after = cpuOf(pids);
  const cpu = { userUs: after.userUs - before.userUs, systemUs: after.systemUs - before.systemUs };
  return { done, cpu: pids.length === 0 ? undefined : cpu };
}

function targetOf({ url, headers, model }: Running): Pick<Job, "url" | "headers" | "model"> {
  return { url, headers, model };
}

function rss(running: Running): number | undefined {
  const pids = running.pids();
  return pids.length === 0 ? undefined : rssOf(pids);
}

function perEvent(cpu: CpuTime | undefined, events: number): Measured {
  if (cpu === undefined) return {};
  return { cpuUs: (cpu.userUs + cpu.systemUs) / events, userUs: cpu.userUs / events, systemUs: cpu.systemUs / events };
}

function timesOf({ latencies, firstContents }: JobDone): Measured {
  latencies.sort();
  firstContents.sort();
  return {
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    p999Us: percentile(latencies, 0.999),
    firstP50Ms: percentile(firstContents, 0.5) / 1_000,
    firstP99Ms: percentile(firstContents, 0.99) / 1_000,
  };
}

function optional(name: "rssMb" | "idleMb" | "openMs" | "kibPerStream", value: number | undefined): Measured {
  return value === undefined ? {} : { [name]: value };
}

function judge({ bad, healthy, reasons }: JobDone, values: Measured | { readonly rssMb: number | undefined }): Measured {
  if (bad > 0) return { void: `${bad} of ${healthy} streams: ${reasons[0] ?? "not whole"}` };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Measured;
}
