/**
 * What Perennial costs, beside nothing, nginx, the cheapest proxy in Node, and other gateways. Linux only: it reads /proc.
 *   npm run bench -- [--quick] [--rounds 5] [--with litellm,portkey,envoy] [--peer NAME=URL[,PID]]… [--upstream-port 9900]
 *                    [--only SCENARIO,…] [--json FILE] [--publish]
 * `--publish` writes bench/results.json, and what stands between the marks in docs/performance.md and the READMEs.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stopAll } from "./measure/children.ts";
import { Load, startUpstream } from "./measure/load.ts";
import { descriptorLimit } from "./measure/processes.ts";
import type { Results } from "./measure/results.ts";
import { measureAll } from "./measure/rounds.ts";
import { scenarios } from "./measure/scenarios.ts";
import { publish } from "./report/publish.ts";
import { printResults } from "./report/tables.ts";
import { byteProxy, direct, nginx, perennial, withDashboard, withReplay } from "./rows/ours.ts";
import { GATEWAYS, peerAt } from "./rows/peers.ts";
import type { Row } from "./rows/row.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    with: { type: "string", default: "" },
    peer: { type: "string", multiple: true, default: [] },
    only: { type: "string" },
    "upstream-port": { type: "string", default: "0" },
    json: { type: "string" },
    publish: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const cores = availableParallelism();
const [loadBefore = 0] = loadavg();
/** The load, the upstream and a row want a core each; on more cores both of the former get more. */
const processes = Math.max(1, Math.floor(cores / 4));

function namesIn(list: string): readonly string[] {
  return list.split(",").filter((name) => name !== "");
}

function peerCalled(name: string): Row {
  const row = GATEWAYS[name];
  if (row === undefined) throw new Error(`--with ${name}: there are ${Object.keys(GATEWAYS).join(", ")}`);
  return row;
}

const rows = [
  direct,
  nginx,
  byteProxy,
  perennial,
  withDashboard,
  withReplay,
  ...namesIn(values.with).map(peerCalled),
  ...values.peer.map(peerAt),
];
const wanted = values.only === undefined ? undefined : namesIn(values.only);
const chosen = scenarios(values.quick).filter(({ name }) => wanted?.includes(name) ?? true);
if (chosen.length === 0)
  throw new Error(
    `--only: there are ${scenarios(values.quick)
      .map(({ name }) => name)
      .join(", ")}`,
  );
if (values.publish && (values.quick || wanted !== undefined)) throw new Error("--publish takes a whole run");
const wasBusy = loadBefore > cores / 2;
console.log(
  `load average ${loadBefore.toFixed(1)} on ${cores} cores${wasBusy ? ": others are using this machine, and the figures say little" : ""}`,
);
if (descriptorLimit() < 11_000)
  console.log(`only ${descriptorLimit()} open files are allowed: the largest scenario needs 11,000`);

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void stopAll().then(() => process.exit(1)));
try {
  const upstream = await startUpstream(processes, Number(values["upstream-port"]));
  const measured = await measureAll({ rows, scenarios: chosen, rounds, tools: { upstream, load: new Load(processes) } });
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model ?? "unknown", cores, node: process.versions.node, kernel: release() },
    rounds,
    loadBefore,
    wasBusy,
    isQuick: values.quick,
    ...measured,
  };
  printResults(results);
  const json = `${JSON.stringify(results, null, 2)}\n`;
  if (values.json !== undefined) writeFileSync(values.json, json);
  if (values.publish) {
    writeFileSync(fileURLToPath(new URL("results.json", import.meta.url)), json);
    publish(results);
  }
} finally {
  await stopAll();
}
process.exit();
