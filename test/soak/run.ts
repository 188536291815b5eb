/**
 * Many streams at once through Perennial, for a long time, from an upstream that breaks some of them. Exits with 1 when a client was
 * misled, or when anything is left behind.
 *   node test/soak/run.ts [--streams 2000] [--concurrency 50] [--rate 0.05] [--seed 7] [--seconds 600] [--report FILE]
 * It ends with whichever comes first, the streams or the seconds; `--streams 0` counts the seconds only.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sumOf } from "../support/prometheus.ts";
import type { ChaosQuestion } from "./chaos-process.ts";
import { visit } from "./client.ts";
import { runDroppers } from "./droppers.ts";
import { type Check, checkKept, checkMetrics, compareHoldings, waitForQuiet } from "./leaks.ts";
import { createAsk } from "./messages.ts";
import { createMix } from "./mix.ts";
import { startPerennialProcess } from "./perennial-process.ts";
import { showProgress } from "./progress.ts";
import { isPassed, printSoak, type Soak, soakPage } from "./report.ts";
import { Tally } from "./tally.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "2000" },
    concurrency: { type: "string", default: "50" },
    rate: { type: "string", default: "0.05" },
    seed: { type: "string", default: "7" },
    seconds: { type: "string", default: "600" },
    report: { type: "string" },
  },
});
const streams = Number(values.streams);
const concurrency = Number(values.concurrency);
const rate = Number(values.rate);
const seed = Number(values.seed);
const seconds = Number(values.seconds);
if (![streams, concurrency, rate, seed, seconds].every(Number.isFinite)) throw new Error("every option but --report is a number");
/** Before the first measurement: what the runtime takes once is not growth. A tenth of the whole, within these. */
const WARM_UP_STREAMS = { least: 1_000, most: 10_000 };
const SAMPLE_MS = 5_000;
/** A log line may come later than the last byte of its answer. */
const LOG_WITHIN_MS = 5_000;
/** Answers are kept for as long as it takes to come back to them on a busy machine, and no longer: nothing of them is left at the end. */
const REPLAY = { replay: { ttl: "15s", linger: "20s" } };
/** How the models of the clients are called that drop their connections and come back. */
const DROPPER = "dropper-";
const MOST_DROPPERS = 1_000;
const GONE_WITHIN_MS = 30_000;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const chaosFile = fileURLToPath(new URL("./chaos-process.ts", import.meta.url));
const chaos = fork(chaosFile, ["--rate", String(rate), "--seed", String(seed)]);
const askChaos = createAsk<ChaosQuestion, unknown>(chaos);
const ask = <T>(question: ChaosQuestion): Promise<T> => askChaos(question) as Promise<T>;

let tally = new Tally();
const perennial = await startPerennialProcess(
  await ask<string>({ ask: "url" }),
  (line) => {
    // One client's coming back is an exchange of its own.
    if (!line.model?.startsWith(DROPPER)) tally.addLine(line);
  },
  { settings: REPLAY },
);
const nextKind = createMix(seed);
let number = 0;

async function soak(count: number, untilMs: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const { ended } = tally;
  let begun = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while ((count === 0 || begun < count) && Date.now() < untilMs) {
        begun++;
        await visitOnce(agent);
      }
    }),
  );
  if (tally.ended - ended !== begun) tally.problem(`${begun} clients began and ${tally.ended - ended} ended`);
  agent.destroy();
  for (let waited = 0; tally.unmatched > 0 && waited < LOG_WITHIN_MS; waited += 50) await sleep(50);
  if (tally.unmatched > 0) tally.problem(`${tally.unmatched} exchanges without exactly one log line`);
}

async function visitOnce(agent: Agent): Promise<void> {
  const kind = nextKind();
  const model = `soak-${++number}`;
  const arrived = (): Promise<boolean> => ask({ ask: "arrived", model });
  const visited = await visit({ baseUrl: `${perennial.url}/v1`, agent, kind, model, arrived });
  const told = tally.addClient(kind, model, visited);
  if (!kind.startsWith("leaves")) return;
  if (told !== "left") tally.problem(`${model} (${kind}) was told "${told}" before it left`);
  else if (!(await ask<boolean>({ ask: "left", model }))) tally.problem(`${model} (${kind}) left, and the upstream was not told`);
}

const connections = (): Promise<number> => ask({ ask: "connections" });

await soak(Math.min(Math.max(streams / 10, WARM_UP_STREAMS.least), WARM_UP_STREAMS.most), Number.POSITIVE_INFINITY);
const warmUpProblems = tally.problems;
const before = await waitForQuiet(perennial, connections);
const faultsBefore = await ask<Record<string, number>>({ ask: "faults" });
const metricsBefore = await perennial.metrics();
tally = new Tally();

say(`${streams === 0 ? "streams" : `${streams} streams`} at concurrency ${concurrency}, ${rate * 100} % broken, seed ${seed}`);
const progress = showProgress(tally, streams, process.stdout);
let peakRss = 0;
const sampler = setInterval(async () => {
  peakRss = Math.max(peakRss, sumOf(await perennial.metrics(), "process_resident_memory_bytes"));
}, SAMPLE_MS);
const startedAt = Date.now();
await soak(streams, startedAt + seconds * 1_000);
const tookSeconds = (Date.now() - startedAt) / 1_000;
clearInterval(sampler);
progress.stop();

const metrics = await perennial.metrics();
for (const [outcome, count] of tally.outcomes) {
  const counted = (text: string): number => sumOf(text, "perennial_exchanges_total", { outcome });
  const metered = counted(metrics) - counted(metricsBefore);
  if (metered !== count) tally.problem(`${count} exchanges are logged as ${outcome}, and /metrics counts ${metered}`);
}
const faults = await ask<Record<string, number>>({ ask: "faults" });
for (const [name, count] of Object.entries(faultsBefore)) faults[name] = (faults[name] ?? 0) - count;
const after = await waitForQuiet(perennial, connections);
peakRss = Math.max(peakRss, after.holdings.rss);
const droppers = await drop();
for (const line of perennial.oddLines) tally.problem(`Perennial logged: ${line}`);
const exitCode = await perennial.stop();
if (exitCode !== 0) tally.problem(`Perennial ended with ${exitCode} on SIGTERM`);
chaos.disconnect();
await once(chaos, "exit");

/** By itself, so that what the upstream is asked can be counted. */
async function drop(): Promise<Check[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const asked = async (): Promise<number> =>
    Object.values(await ask<Record<string, number>>({ ask: "faults" })).reduce((sum, count) => sum + count, 0);
  const askedBefore = await asked();
  const options = { baseUrl: `${perennial.url}/v1`, count: Math.min(streams || MOST_DROPPERS, MOST_DROPPERS), concurrency, seed };
  const { runs, drops, problems } = await runDroppers(options, agent);
  agent.destroy();
  for (const problem of problems) tally.problem(problem);
  const askedFor = (await asked()) - askedBefore;
  await waitForQuiet(perennial, connections);
  for (let waited = 0; sumOf(await perennial.metrics(), "perennial_kept_streams") > 0 && waited < GONE_WITHIN_MS; waited += 250)
    await sleep(250);
  return [
    {
      name: `upstream requests for ${runs} answers, whose clients dropped ${drops} connections`,
      before: "0",
      after: String(askedFor),
      limit: String(runs),
      passed: askedFor === runs,
    },
    ...checkKept(await perennial.metrics()),
  ];
}

const result: Soak = {
  command: `npm run soak -- --streams ${streams} --concurrency ${concurrency} --rate ${rate} --seed ${seed} --seconds ${seconds}`,
  versions: readVersions(),
  concurrency,
  rate,
  seconds: tookSeconds,
  tally,
  faults,
  peakRss,
  checks: [...compareHoldings(before.holdings, after.holdings, after.connections), ...checkMetrics(metrics), ...droppers],
  problems: [...warmUpProblems, ...tally.problems],
};
say(printSoak(result));
if (values.report !== undefined) writeFileSync(values.report, soakPage(result));
process.exitCode = isPassed(result) ? 0 : 1;

function readVersions(): string[] {
  const require = createRequire(import.meta.url);
  const version = (file: string): string => (require(file) as { version: string }).version;
  return [
    `Perennial ${version("../../package.json")}`,
    `Node ${process.versions.node}`,
    `undici ${version("undici/package.json")}`,
  ];
}
