/**
 * Many streams at once through Perennial with `recovery: continue`, from an upstream that breaks some of them, and goes on when it is
 * asked to. Exits with 1 when a client was misled, when too few of those went on that could, or when anything is left behind.
 *   node test/soak/main.ts --recovery continue [--streams 2000] [--concurrency 50] [--rate 0.1] [--seed 7] [--seconds 1200]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ChaosQuestion } from "../chaos-process.ts";
import { visit } from "../client.ts";
import { checkMetrics, compareHoldings, waitForQuiet } from "../leaks.ts";
import { createAsk } from "../messages.ts";
import { type PerennialProcess, startPerennialProcess } from "../perennial-process.ts";
import { showProgress } from "../progress.ts";
import { MUST_BE_ZERO, Tally } from "../tally.ts";
import { createFaultDraw } from "./faults.ts";
import { printRecovery } from "./report.ts";
import { RecoveryTally } from "./tally.ts";

const { values } = parseArgs({
  options: {
    recovery: { type: "string", default: "continue" },
    streams: { type: "string", default: "2000" },
    concurrency: { type: "string", default: "50" },
    rate: { type: "string", default: "0.1" },
    seed: { type: "string", default: "7" },
    seconds: { type: "string", default: "1200" },
  },
});
const { recovery } = values;
if (recovery !== "continue") throw new Error("--recovery is continue: without it, npm run soak is what asks of recovery: error");
const [streams, concurrency, rate, seed, seconds] = [
  values.streams,
  values.concurrency,
  values.rate,
  values.seed,
  values.seconds,
].map(Number) as [number, number, number, number, number];
if (![streams, concurrency, rate, seed, seconds].every(Number.isFinite))
  throw new Error("every option but --recovery is a number");
/** Before the first measurement: what the runtime takes once is not growth. */
const WARM_UP_STREAMS = 1_000;
/** A log line may come later than the last byte of its answer. */
const LOG_WITHIN_MS = 5_000;
const MAX_ATTEMPTS = 3;

const chaosFile = fileURLToPath(new URL("../chaos-process.ts", import.meta.url));
const chaos = fork(chaosFile, ["--rate", "0", "--seed", String(seed)]);
const askChaos = createAsk<ChaosQuestion, unknown>(chaos);
const ask = <T>(question: ChaosQuestion): Promise<T> => askChaos(question) as Promise<T>;

let tally = new Tally();
let recovered = new RecoveryTally();
const start = (settings: object): Promise<PerennialProcess> =>
  startPerennialProcess(
    upstreamUrl,
    (line) => {
      tally.addLine(line);
      recovered.addLine(line);
    },
    { settings: { recovery, resume: { maxAttempts: MAX_ATTEMPTS }, ...settings }, upstream: { continuation: "assistant" } },
  );
const upstreamUrl = await ask<string>({ ask: "url" });
const perennial = await start({});
const draw = createFaultDraw(rate, seed);
const specs = new Map<string, string | undefined>();
let number = 0;

/** @param next the client that comes next; undefined for none. */
async function soak(
  next: () => { model: string; spec: string | undefined } | undefined,
  through = perennial,
  headers = {},
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let client = next(); client !== undefined; client = next()) {
        const { model, spec } = client;
        const kind = "streamed";
        const arrived = async (): Promise<boolean> => true;
        const visited = await visit({ baseUrl: `${through.url}/v1`, agent, kind, model, arrived, spec, headers });
        tally.addClient(kind, model, visited);
      }
    }),
  );
  agent.destroy();
  for (let waited = 0; tally.unmatched > 0 && waited < LOG_WITHIN_MS; waited += 50) await sleep(50);
  if (tally.unmatched > 0) tally.problem(`${tally.unmatched} exchanges without exactly one log line`);
}

/** So many new clients, or as many as come in time. */
function newClients(count: number, untilMs: number): () => { model: string; spec: string | undefined } | undefined {
  let begun = 0;
  return () => {
    if (begun++ >= count || Date.now() > untilMs) return undefined;
    const client = { model: `soak-${++number}`, spec: draw() };
    if (client.spec !== undefined) specs.set(client.model, client.spec);
    return client;
  };
}

const connections = (): Promise<number> => ask({ ask: "connections" });
await soak(newClients(WARM_UP_STREAMS, Number.POSITIVE_INFINITY));
const warmUpProblems = tally.problems;
const before = await waitForQuiet(perennial, connections);
const asksBefore = await ask<Record<string, number>>({ ask: "faults" });
const asked = async (): Promise<Record<string, number>> => {
  const faults = await ask<Record<string, number>>({ ask: "faults" });
  return Object.fromEntries(Object.entries(faults).map(([name, count]) => [name, count - (asksBefore[name] ?? 0)]));
};
tally = new Tally();
recovered = new RecoveryTally();
specs.clear();

process.stdout.write(
  `${streams} streams at concurrency ${concurrency}, ${rate * 100} % broken, seed ${seed}, recovery ${recovery}\n`,
);
const progress = showProgress(tally, streams, process.stdout);
const startedAt = Date.now();
await soak(newClients(streams, startedAt + seconds * 1_000));
const tookSeconds = (Date.now() - startedAt) / 1_000;
progress.stop();
const faults = await asked();
const main = { tally, recovered };

const metrics = await perennial.metrics();
const after = await waitForQuiet(perennial, connections);
const exitCode = await perennial.stop();

// The same again for those that could not go on, held back until they are whole. Each of them breaks: no share of all is retried.
tally = new Tally();
recovered = new RecoveryTally();
const again = main.recovered.ineligible.map((model) => ({ model: `${model}-whole`, spec: specs.get(model) }));
const holding = await start({ retry: { backoff: { initial: "5ms", max: "50ms" }, budget: { min: 1_000_000 } } });
await soak(() => again.pop(), holding, { "x-perennial-gate": "whole" });
await holding.stop();
chaos.disconnect();
await once(chaos, "exit");
const problems = [
  ...warmUpProblems,
  ...main.tally.problems,
  ...tally.problems,
  ...perennial.oddLines.map((line) => `Perennial logged: ${line}`),
  ...(exitCode === 0 ? [] : [`Perennial ended with ${exitCode} on SIGTERM`]),
  ...MUST_BE_ZERO.filter((told) => main.tally.told[told] + tally.told[told] > 0).map((told) => `${told} is not 0`),
];
const { isPassed, text } = printRecovery({
  ...main,
  faults,
  seconds: tookSeconds,
  wholeGate: tally,
  checks: [...compareHoldings(before.holdings, after.holdings, after.connections), ...checkMetrics(metrics)],
  problems,
});
process.stdout.write(text);
process.exitCode = isPassed ? 0 : 1;
