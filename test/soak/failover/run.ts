/**
 * Two upstreams, of which one fails half of the time; then two of which one goes down and comes back: what do clients notice, how many
 * requests does that make, and how soon has it its share again? Exits with 1 when it is not as it must be.
 *   node test/soak/main.ts --failover [--streams 20000] [--concurrency 40] [--seconds 120] [--down 15] [--attempts 5] [--seed 7] [--report FILE]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sumOf } from "../../support/prometheus.ts";
import { visit } from "../client.ts";
import { createAsk } from "../messages.ts";
import { startPerennialProcess } from "../perennial-process.ts";
import { FailoverTally, type Line } from "./failover-tally.ts";
import { type FailoverSoak, problemsOf, tableOf } from "./report.ts";
import type { UpstreamQuestion } from "./upstream-process.ts";

const { values } = parseArgs({
  options: {
    failover: { type: "boolean" },
    streams: { type: "string", default: "20000" },
    concurrency: { type: "string", default: "40" },
    /** Most of the first part. */
    seconds: { type: "string", default: "120" },
    /** How long the one of the second part is down. */
    down: { type: "string", default: "15" },
    /** Three, the default, are not enough where every twentieth request fails at the better one too. */
    attempts: { type: "string", default: "5" },
    seed: { type: "string", default: "7" },
    report: { type: "string" },
  },
});
const [streams, concurrency, seconds, down] = [values.streams, values.concurrency, values.seconds, values.down].map(Number) as [
  number,
  number,
  number,
  number,
];
if (![streams, concurrency, seconds, down].every((value) => value > 0))
  throw new Error("every option but --report is a number above 0");

const RATES = { a: 0.5, b: 0.05 };
/** By when one that is back must have its share again. */
const BACK_WITHIN_MS = 30_000;
/** Of what it had before: shares of a second vary. */
const SHARE = 0.8;
const SAMPLE_MS = 1_000;
/** Before it goes down. */
const STEADY_MS = 5_000;

const upstreamFile = fileURLToPath(new URL("./upstream-process.ts", import.meta.url));
const upstreams = fork(upstreamFile, ["--a", String(RATES.a), "--b", String(RATES.b), "--seed", values.seed]);
const askUpstreams = createAsk<UpstreamQuestion, unknown>(upstreams);
const ask = <T>(question: UpstreamQuestion): Promise<T> => askUpstreams(question) as Promise<T>;
const agent = new Agent({ keepAlive: true, maxSockets: concurrency });

/** Perennial in front of two of them that are to have equal shares. */
async function inFrontOf(names: readonly string[], tally: FailoverTally) {
  const list = await Promise.all(
    names.map(async (name) => ({ name, baseUrl: await ask<string>({ ask: "url", of: name }), priority: 0, keepAlive: "1s" })),
  );
  const onLine = (line: unknown): void => tally.addLine(line as Line);
  const retry = { maxAttempts: Number(values.attempts), backoff: { initial: "5ms", max: "50ms" } };
  return startPerennialProcess(list[0]?.baseUrl ?? "", onLine, { settings: { upstreams: list, retry } });
}

/** Clients one behind the other, as many at a time as there are, until told to stop. */
async function keepAsking(url: string, tally: FailoverTally, goesOn: () => boolean): Promise<void> {
  let number = 0;
  const one = async (): Promise<void> => {
    while (goesOn()) {
      const kind = number++ % 6 === 0 ? "not streamed" : "streamed";
      // One model for all, since one may rest by itself.
      tally.addClient(await visit({ baseUrl: `${url}/v1`, agent, kind, model: "soak", arrived: async () => true }));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
}

async function failing(): Promise<FailoverSoak["failing"]> {
  const tally = new FailoverTally();
  const perennial = await inFrontOf(["a", "b"], tally);
  const began = Date.now();
  let asked = 0;
  await keepAsking(perennial.url, tally, () => asked++ < streams && Date.now() - began < seconds * 1_000);
  await tally.untilEqual();
  const { a = 0, b = 0 } = await ask<Record<string, number>>({ ask: "counts" });
  const refused = sumOf(await perennial.metrics(), "perennial_retries_refused_total");
  tally.addOddLines(perennial.oddLines);
  await perennial.stop();
  return { tally, seconds: (Date.now() - began) / 1_000, requests: { a, b }, refused };
}

async function goingDown(): Promise<FailoverSoak["down"]> {
  const tally = new FailoverTally();
  const perennial = await inFrontOf(["c", "d"], tally);
  let isOver = false;
  const clients = keepAsking(perennial.url, tally, () => !isOver);
  const countsOf = async (): Promise<{ c: number; d: number; clients: number }> => {
    const { c = 0, d = 0 } = await ask<Record<string, number>>({ ask: "counts" });
    return { c, d, clients: tally.ended };
  };
  /** @returns the share of one in what came since. */
  const shareSince = async (before: { c: number; d: number }): Promise<number> => {
    const now = await countsOf();
    return (now.c - before.c) / Math.max(1, now.c - before.c + now.d - before.d);
  };

  const start = await countsOf();
  await sleep(STEADY_MS);
  const steadyShare = await shareSince(start);

  await ask({ ask: "play", fault: "close@c" });
  const atDown = await countsOf();
  await sleep(down * 1_000);
  const atBack = await countsOf();
  await ask({ ask: "play", fault: undefined });
  const amplification = (atBack.c - atDown.c + atBack.d - atDown.d) / (atBack.clients - atDown.clients);
  const asksWhileDown = atBack.c - atDown.c;

  const began = Date.now();
  let backAfterMs: number | undefined;
  while (backAfterMs === undefined && Date.now() - began < BACK_WITHIN_MS) {
    const before = await countsOf();
    await sleep(SAMPLE_MS);
    if ((await shareSince(before)) >= SHARE * steadyShare) backAfterMs = Date.now() - began;
  }
  isOver = true;
  await clients;
  await tally.untilEqual();
  tally.addOddLines(perennial.oddLines);
  await perennial.stop();
  return {
    tally,
    seconds: down,
    steadyShare,
    amplification,
    asksWhileDown,
    clients: atBack.clients - atDown.clients,
    backAfterMs,
  };
}

const command = `npm run soak -- --failover --streams ${streams} --concurrency ${concurrency} --seconds ${seconds} --down ${down} --attempts ${values.attempts}`;
const result: FailoverSoak = { command, concurrency, failing: await failing(), down: await goingDown() };
agent.destroy();
upstreams.disconnect();
await once(upstreams, "exit");

const problems = problemsOf(result);
const table = tableOf(result);
process.stdout.write(
  `${[table, ...problems.map((problem) => `✖ ${problem}`), problems.length === 0 ? "passed" : "FAILED"].join("\n")}\n`,
);
if (values.report !== undefined) writeFileSync(values.report, `${table}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
