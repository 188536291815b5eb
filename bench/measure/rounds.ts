/** Rows in turn: every scenario of every round goes through all rows, in the other order each round, and the first round is dropped. */
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { BYTE_PROXY, DIRECT, NGINX } from "../rows/ours.ts";
import type { Row, Running } from "../rows/row.ts";
import { fineCpuMs } from "./processes.ts";
import { isVoid, type Measured, type Results, summarize, type Values } from "./results.ts";
import type { Scenario, Tools } from "./scenarios.ts";

/** What starts anew each time is no warmer in the fifth round. */
const FRESH_ROUNDS = 3;
/** How long a program that listens may take until it answers, and how often it is asked meanwhile, in milliseconds. */
const READY_WITHIN_MS = 30_000;
const LOOK_MS = 300;
/** Below this share of a core a program counts as idle. */
const IDLE_SHARE = 0.2;

export interface Plan {
  readonly rows: readonly Row[];
  readonly scenarios: readonly Scenario[];
  /** That count, beside the first. */
  readonly rounds: number;
  readonly tools: Tools;
}

interface Started {
  readonly row: Row;
  readonly running: Running;
}

export async function measureAll(plan: Plan): Promise<Pick<Results, "rows" | "missing" | "loads" | "scenarios">> {
  const { rows, scenarios, rounds, tools } = plan;
  const { started, missing } = await startAll(rows, tools);
  const loads: number[] = [];
  const measured = new Map<string, Map<string, Measured>[]>(scenarios.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    const [load = 0] = loadavg();
    if (round > 0) loads.push(load);
    console.log(`${round === 0 ? "warming up" : `round ${round} of ${rounds}`}, load average ${load.toFixed(1)}`);
    const inTurn = round % 2 === 0 ? started : started.toReversed();
    for (const scenario of scenarios) {
      if (scenario.isFresh && (round === 0 || round > FRESH_ROUNDS)) continue;
      const results = await measureRows(scenario, inTurn, tools);
      if (round > 0) measured.get(scenario.name)?.push(results);
    }
  }
  for (const { running } of started) await running.stop();
  return {
    rows: started.map(({ row }) => row.name),
    missing,
    loads,
    scenarios: Object.fromEntries(
      [...measured].map(([name, each]) => [name, summarize(each.map(beyondDirect), [BYTE_PROXY, NGINX])]),
    ),
  };
}

async function startAll(rows: readonly Row[], tools: Tools): Promise<{ started: Started[]; missing: Record<string, string> }> {
  const started: Started[] = [];
  const missing: Record<string, string> = {};
  for (const row of rows) {
    try {
      const running = await row.start(tools.upstream.url);
      await prove(running, tools);
      started.push({ row, running });
    } catch (error) {
      missing[row.name] = (error as Error).message;
      console.log(`without ${row.name}: ${missing[row.name]}`);
    }
  }
  return { started, missing };
}

/** What cannot answer one stream is not measured. @throws with what is wrong, after some time: some listen before they are ready */
async function prove(running: Running, { load }: Tools): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const { bad, reasons } = await load.run({
      url: running.url,
      headers: running.headers,
      model: running.model,
      ask: { events: 3, everyMs: 0 },
      streams: 1,
      concurrency: 1,
      beginWithinMs: READY_WITHIN_MS,
      endWithinMs: READY_WITHIN_MS,
      settleMs: 0,
      brokenEvery: 0,
    });
    if (bad === 0) return;
    if (performance.now() > until) {
      await running.stop();
      throw new Error(`its first answer is not whole (${reasons[0]})`);
    }
    await sleep(LOOK_MS);
  }
}

async function measureRows(scenario: Scenario, started: readonly Started[], tools: Tools): Promise<Map<string, Measured>> {
  const results = new Map<string, Measured>();
  for (const { row, running } of started) {
    if (row.only !== undefined && !row.only.has(scenario.name)) continue;
    const result = await measureRow(scenario, { row, running }, tools);
    results.set(row.name, result);
    await untilIdle(running);
    if (isVoid(result)) console.log(`  ${scenario.name}, ${row.name}: void, ${result.void}`);
  }
  return results;
}

/** Some go on with what nobody waits for any more; the next row shall not pay for it. */
async function untilIdle(running: Running): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  let before = fineCpuMs(running.pids());
  while (performance.now() < until) {
    await sleep(LOOK_MS);
    const now = fineCpuMs(running.pids());
    if (now - before < LOOK_MS * IDLE_SHARE) return;
    before = now;
  }
}

async function measureRow(scenario: Scenario, { row, running }: Started, tools: Tools): Promise<Measured> {
  // A program that is not ours to start has no fresh process.
  if (!scenario.isFresh || running.readyMs === undefined) return scenario.measure(running, tools);
  try {
    const fresh = await row.start(tools.upstream.url);
    try {
      return await scenario.measure(fresh, tools);
    } finally {
      await fresh.stop();
    }
  } catch (error) {
    return { void: (error as Error).message };
  }
}

/** How long an event takes is told as what the way adds to none, in the same round. */
function beyondDirect(round: ReadonlyMap<string, Measured>): ReadonlyMap<string, Measured> {
  const direct = round.get(DIRECT);
  if (direct === undefined || isVoid(direct)) return round;
  const added = (values: Values): Values => {
    const own: Values = { ...values };
    for (const metric of ["p50Us", "p99Us", "p999Us"] as const) {
      if (own[metric] !== undefined) own[metric] -= direct[metric] ?? 0;
    }
    return own;
  };
  return new Map([...round].map(([row, result]) => [row, row === DIRECT || isVoid(result) ? result : added(result)]));
}
