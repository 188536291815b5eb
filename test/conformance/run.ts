/**
 * Every fault, against the upstream itself, nginx, Perennial and any gateway you name: what was the client told?
 *   npm run conformance -- --help
 */
import { writeFile } from "node:fs/promises";
import pc from "picocolors";
import { Unavailable } from "../support/peers/peer.ts";
import type { Case } from "./cases.ts";
import { writeGateways } from "./gateways.ts";
import { MISLED } from "./judge.ts";
import { casesFor, commandFor, HELP, listModels, type Options, readOptions, UsageError } from "./options.ts";
import { writePages } from "./page.ts";
import { createProgress } from "./progress.ts";
import { isSetUp, type Result, runCases, servedDialects, serves } from "./run-cases.ts";
import { keepsContract, resultsIn, type Score, scoreOf } from "./score.ts";
import { describeResult, renderDialects, renderScores, renderSetups } from "./table.ts";
import { QUICK, startPeer, startPerennials, startUpstreams, type Target, UNHURRIED, versionOf } from "./targets.ts";

const CONCURRENCY = 16;
/** Of the cases in which a gateway of the user's did badly. */
const SHOWN = 10;

const say = (line = ""): void => void process.stdout.write(`${line}\n`);

interface Ran {
  readonly targets: readonly string[];
  readonly results: readonly Result[];
  readonly complaints: readonly string[];
}

/** Every case, of every target that is wanted, one target after the other. */
async function runTargets(options: Options, cases: readonly Case[]): Promise<Ran> {
  const { given, peers, "only-target": wanted } = options;
  const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
  const running: Target[] = [];
  const results: Result[] = [];
  const complaints: string[] = [];
  const targets: string[] = [];
  try {
    if (["direct", "nginx", "perennial", ...peers].some(isWanted)) {
      const setups = new Set(cases.flatMap(({ setup }) => setup ?? []));
      const alone = cases.filter(({ setup }) => setup === undefined);
      const upstreams = await startUpstreams([...new Set(alone.map(({ framing }) => framing))], [...setups]);
      running.push(upstreams);
      const patience = peers.length > 0 ? UNHURRIED : QUICK;
      for (const name of ["nginx", ...peers].filter(isWanted)) {
        const peer = await startOrSay(name, () => startPeer(name, upstreams, patience, (line) => say(pc.dim(`  ${line}`))));
        if (peer !== undefined) running.push(peer);
      }
      if (isWanted("perennial")) running.push(await startPerennials(upstreams, patience));
    }
    running.push(...given);
    say();
    say(`  ${pc.bold("What is a client told when its upstream fails?")}  ${pc.dim(`${cases.length} cases, each measured now`)}`);
    say();
    for (const target of running.filter(({ name }) => isWanted(name))) {
      targets.push(target.name);
      const style = given.includes(target) ? options.style : options.plain;
      const set = cases.filter((one) => isSetUp(target, one));
      const [first] = set;
      if (given.includes(target) && first !== undefined && !(await serves(target, first, style)))
        say(
          pc.yellow(
            `  ${target.name} gives no whole answer to a healthy request: does it reach the chaos server, and take its models?`,
          ),
        );
      const served = await servedDialects(target, set, style);
      const spoken = set.filter(({ dialect }) => served.has(dialect));
      const progress = createProgress(target.name, spoken.length, process.stdout);
      const onResult = (one: Result): void => progress.add(one);
      const asksHungAgain = peers.includes(target.name) && target.name !== "plain";
      results.push(...(await runCases(target, spoken, { concurrency: CONCURRENCY, asksHungAgain, ...style, onResult })));
      progress.end();
    }
  } finally {
    for (const target of running.toReversed()) {
      const complaint = await target.stop();
      if (complaint !== "") complaints.push(`${target.name}: ${complaint}`);
    }
  }
  return { targets, results, complaints };
}

/** What cannot be had here is left out, and said. */
async function startOrSay(name: string, start: () => Promise<Target>): Promise<Target | undefined> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    say(pc.yellow(`  ${name} is left out: ${error.message}`));
    return undefined;
  }
}

async function run(options: Options): Promise<number> {
  const cases = casesFor(options);
  const startedAt = Date.now();
  const { targets, results, complaints } = await runTargets(options, cases);
  const scores = targets.map((name) => scoreOf(name, resultsIn("chat", results)));
  const broken = results.filter((result) => result.target === "perennial" && !keepsContract(result));
  say();
  if (results.some(({ case: one }) => one.dialect === "chat")) say(renderScores(scores));
  say(renderDialects(targets, results));
  say(renderSetups(targets, results));
  for (const result of broken) say(describeResult(result, commandFor(result.target, result.case, options)));
  const own = results.filter(({ target }) => options.given.some(({ name }) => name === target));
  const isFew = options.case.length > 0;
  const shown = isFew ? results.filter((result) => !broken.includes(result)) : own.filter(isBad);
  for (const result of isFew ? shown : shown.slice(0, SHOWN)) {
    say(describeResult(result, commandFor(result.target, result.case, options)));
  }
  if (!isFew && shown.length > SHOWN) say(pc.dim(`  … and ${shown.length - SHOWN} more; --json FILE has all of them`));
  for (const complaint of complaints) say(pc.red(`  ${complaint}`));
  if (targets.includes("perennial")) {
    const total = results.filter(({ target }) => target === "perennial").length;
    const verdict = `Perennial kept its contract in ${total - broken.length} of ${total} cases.`;
    say(
      `  ${broken.length === 0 ? pc.green(verdict) : pc.red(verdict)}  ${pc.dim(`${((Date.now() - startedAt) / 1000).toFixed(0)} s`)}`,
    );
  }
  await write(options, { targets, results, complaints }, scores);
  say();
  return broken.length === 0 && complaints.length === 0 ? 0 : 1;
}

async function write(options: Options, { targets, results }: Ran, scores: readonly Score[]): Promise<void> {
  const { only, case: ids, dialects, given, peers, json } = options;
  const isDefaultRun = [only, ids, dialects, given, peers].every((list) => list.length === 0) && targets.includes("nginx");
  if (peers.length > 0 && options.write) {
    for (const file of await writeGateways({ targets, scores, results, versionOf, date: new Date() }))
      say(pc.dim(`  Written: ${file}`));
  } else if (options.write || isDefaultRun) {
    const versions = [`Node ${process.versions.node}`, ...(targets.includes("nginx") ? [`nginx ${versionOf("nginx")}`] : [])];
    for (const file of await writePages({ targets, scores, results, versions, date: new Date() }))
      say(pc.dim(`  Written: ${file}`));
  }
  if (json === undefined) return;
  const rows = results.map((result) => {
    const { seen, case: one, ...rest } = result;
    const { rights: _, ...fields } = one;
    return { ...fields, ...rest, command: commandFor(rest.target, one, options), seen: { ...seen, body: seen.body.toString() } };
  });
  await writeFile(json, `${JSON.stringify(rows, undefined, 1)}\n`);
}

function isBad({ verdict }: Result): boolean {
  return MISLED.has(verdict) || verdict === "no service";
}

try {
  const options = readOptions();
  if (options.help) process.stdout.write(HELP);
  else if (options["list-models"]) say(listModels(options).join("\n"));
  else process.exitCode = await run(options);
} catch (error) {
  const isUsage = error instanceof UsageError || String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
  process.stderr.write(isUsage ? `${(error as Error).message}\n(--help shows what there is)\n` : `${(error as Error).stack}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
