/**
 * The real Claude Code and Codex, directly and through Perennial at its defaults. Exits with 1 when one gets less, or is told less, through it.
 *   node test/agents/run.ts [--think 75] [--tool 40] [--outage 20] [--agent claude] [--scenario NAME] [--versions claude@X,codex@Y]
 * Seconds; --tool 340 is a call as long as agents wait for, and takes six minutes.
 */
import { parseArgs } from "node:util";
import { spawnPerennial } from "../support/spawn-perennial.ts";
import { type AgentRun, runAgent } from "./agent.ts";
import { startClosedDoor } from "./closed-door.ts";
import { complaintsOf, type Outcome, printTable, type Row } from "./compare.ts";
import { type AgentName, type Installed, installAgent, VERSIONS } from "./install.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { startAgentUpstream } from "./upstream.ts";

const { values } = parseArgs({
  options: {
    think: { type: "string", default: "75" },
    tool: { type: "string", default: "40" },
    outage: { type: "string", default: "20" },
    agent: { type: "string" },
    scenario: { type: "string" },
    versions: { type: "string", default: "" },
  },
});
const times = {
  thinkMs: Number(values.think) * 1_000,
  toolMs: Number(values.tool) * 1_000,
  outageMs: Number(values.outage) * 1_000,
};
/** An agent that is not done so long after the slowest answer has not got it. */
const PATIENCE_MS = Math.max(times.thinkMs, times.toolMs, times.outageMs) + 180_000;
/** They wait more than they work. */
const AT_ONCE = 6;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function play(agent: AgentName, { program }: Installed, scenario: Scenario, through: boolean): Promise<Outcome> {
  const upstream = await startAgentUpstream(scenario, times);
  const perennial = through ? await spawnPerennial(["--upstream", `${upstream.url}/v1`, "--port", "0"]) : undefined;
  const door = await startClosedDoor();
  try {
    const url = perennial?.url ?? upstream.url;
    const run: AgentRun = await runAgent(agent, { program, url, proxy: door.url, patienceMs: PATIENCE_MS });
    const toolRan = scenario !== "long tool call" || upstream.toolRan();
    return { ...run, toolRan, asked: upstream.asked(), elsewhere: [...door.asked] };
  } finally {
    await perennial?.stop();
    door.close();
    upstream.close();
  }
}

/** Runs so many at once; the results keep their order. */
async function inTurn<T>(jobs: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mine = next++; mine < jobs.length; mine = next++) results[mine] = await (jobs[mine] as () => Promise<T>)();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

const versions = new Map(values.versions.split(",").map((item) => item.split("@", 2) as [string, string]));
const agents = (Object.keys(VERSIONS) as AgentName[]).filter((name) => (values.agent ?? name) === name);
const scenarios = SCENARIOS.filter((name) => (values.scenario ?? name) === name);
if (agents.length === 0 || scenarios.length === 0) throw new Error(`agents: ${Object.keys(VERSIONS)}; scenarios: ${SCENARIOS}`);

const installed = new Map<AgentName, Installed>();
for (const name of agents) {
  const found = installAgent(name, versions.get(name) ?? VERSIONS[name]);
  if (typeof found === "string") say(`skipped: ${found}`);
  else {
    say(`${name}: ${found.version}`);
    installed.set(name, found);
  }
}
const pairs = [...installed].flatMap(([agent, program]) => scenarios.map((scenario) => ({ agent, program, scenario })));
const outcomes = await inTurn(
  pairs.flatMap(({ agent, program, scenario }) => [false, true].map((through) => () => play(agent, program, scenario, through))),
);
const rows: Row[] = pairs.map(({ agent, scenario }, i) => ({
  agent,
  scenario,
  direct: outcomes[2 * i] as Outcome,
  through: outcomes[2 * i + 1] as Outcome,
}));
if (rows.length > 0) say(`\n${printTable(rows)}`);
const bad = rows.filter((row) => complaintsOf(row).length > 0);
for (const { agent, scenario, direct, through } of bad) {
  const elsewhere = [...direct.elsewhere, ...through.elsewhere].join(", ");
  say(
    `\n${agent}, ${scenario}: the end of what it printed through Perennial${elsewhere && `; it asked for ${elsewhere}`}\n${through.output}`,
  );
}
process.exitCode = bad.length === 0 ? 0 : 1;
