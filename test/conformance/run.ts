/**
 * Every fault, against the upstream itself, nginx, Perennial and any gateway you name: what was the client told?
 *   npm run conformance -- --help
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pc from "picocolors";
import { findFault } from "../../src/chaos/registry.ts";
import { type CaseFraming, FRAMINGS, listCases } from "./cases.ts";
import { nginxVersion } from "./nginx.ts";
import { renderPage } from "./page.ts";
import { createProgress } from "./progress.ts";
import { type Result, runCases } from "./run-cases.ts";
import { keepsContract, scoreOf } from "./score.ts";
import { describeResult, renderScores } from "./table.ts";
import { givenTarget, startNginxTarget, startPerennials, startUpstreams, type Target } from "./targets.ts";

const HELP = `Usage: npm run conformance -- [options]

Sends a request for every fault of the chaos server through each target, and judges what the client was told.
Targets: direct (the chaos server itself), nginx (when it is installed), perennial, and those you add.

  --only FAULT         only this fault; may be given several times
  --target NAME=URL    also this gateway, by its base URL with /v1; may be given several times
  --key KEY            the API key to present (default: sk-conformance)
  --patience SECONDS   how long a client waits in silence before it counts as hung (default: 6)
  --json FILE          write every result, with what was received
  --write              write docs/conformance.md, also when a target is missing or added
  --help               print this

To test a gateway of yours:
  1. perennial chaos --port 8788
  2. point the gateway at http://127.0.0.1:8788/v1; let model names that begin with chaos/ through as they are,
     and make its timeouts shorter than --patience
  3. npm run conformance -- --target mine=http://127.0.0.1:4000/v1
With --target, all targets are compared in the upstream's usual framing only.

The exit code is 1 when Perennial broke its contract in any case.
`;

const CONCURRENCY = 16;
const PAGE = fileURLToPath(new URL("../../docs/conformance.md", import.meta.url));

const say = (line = ""): void => void process.stdout.write(`${line}\n`);

class UsageError extends Error {}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      target: { type: "string", multiple: true, default: [] },
      key: { type: "string", default: "sk-conformance" },
      patience: { type: "string", default: "6" },
      json: { type: "string" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  for (const name of values.only ?? []) {
    if (findFault(name) === undefined) throw new UsageError(`There is no fault "${name}"; perennial chaos --list names them.`);
  }
  const given = values.target.map((text) => {
    const [, name, url] = /^([^=]+)=(https?:\/\/.+)$/.exec(text) ?? [];
    if (name === undefined || url === undefined) throw new UsageError(`"${text}" is not NAME=URL.`);
    return givenTarget(name, url);
  });
  const patienceMs = Number(values.patience) * 1000;
  if (!(patienceMs > 0)) throw new UsageError(`"${values.patience}" is no number of seconds.`);
  return { ...values, given, patienceMs };
}

async function run(options: ReturnType<typeof readOptions>): Promise<number> {
  const { only, given } = options;
  const framings: readonly CaseFraming[] = given.length > 0 ? ["default"] : FRAMINGS;
  const cases = listCases({ framings, ...(only === undefined ? {} : { only }) });
  const startedAt = Date.now();
  const running: Target[] = [];
  const results: Result[] = [];
  const complaints: string[] = [];
  try {
    const upstreams = await startUpstreams(framings);
    running.push(upstreams);
    const nginx = await startNginxTarget(upstreams);
    if (nginx !== undefined) running.push(nginx);
    running.push(await startPerennials(upstreams));
    running.push(...given);

    say();
    say(`  ${pc.bold("What is a client told when its upstream fails?")}  ${pc.dim(`${cases.length} cases, each measured now`)}`);
    if (nginx === undefined) say(pc.dim("  nginx is not installed, so it is left out."));
    say();
    for (const target of running) {
      const progress = createProgress(target.name, cases.length, process.stdout);
      const { key, patienceMs } = options;
      results.push(
        ...(await runCases(target, cases, { concurrency: CONCURRENCY, key, patienceMs, onResult: (one) => progress.add(one) })),
      );
      progress.end();
    }
  } finally {
    for (const target of running.toReversed()) {
      const complaint = await target.stop();
      if (complaint !== "") complaints.push(`${target.name}: ${complaint}`);
    }
  }

  const targets = running.map(({ name }) => name);
  const scores = targets.map((name) => scoreOf(name, results));
  say();
  say(renderScores(scores));
  const broken = results.filter((result) => result.target === "perennial" && !keepsContract(result));
  for (const result of broken) say(describeResult(result));
  for (const complaint of complaints) say(pc.red(`  ${complaint}`));
  const total = results.filter(({ target }) => target === "perennial").length;
  const kept = total - broken.length;
  const verdict = `Perennial kept its contract in ${kept} of ${total} cases.`;
  say(
    `  ${broken.length === 0 ? pc.green(verdict) : pc.red(verdict)}  ${pc.dim(`${((Date.now() - startedAt) / 1000).toFixed(0)} s`)}`,
  );

  const isDefaultRun = only === undefined && given.length === 0 && targets.includes("nginx");
  if (options.write || isDefaultRun) {
    const versions = [`Node ${process.versions.node}`, ...(targets.includes("nginx") ? [`nginx ${nginxVersion()}`] : [])];
    await writeFile(PAGE, renderPage({ targets, scores, results, versions, date: new Date() }));
    say(pc.dim("  Written: docs/conformance.md"));
  }
  if (options.json !== undefined) {
    const rows = results.map(({ seen, case: { rights: _, ...one }, ...rest }) => ({
      ...one,
      ...rest,
      seen: { ...seen, body: seen.body.toString() },
    }));
    await writeFile(options.json, `${JSON.stringify(rows, undefined, 1)}\n`);
  }
  say();
  return broken.length === 0 && complaints.length === 0 ? 0 : 1;
}

try {
  const options = readOptions();
  if (options.help) process.stdout.write(HELP);
  else process.exitCode = await run(options);
} catch (error) {
  const isUsage = error instanceof UsageError || String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
  process.stderr.write(isUsage ? `${(error as Error).message}\n(--help shows what there is)\n` : `${(error as Error).stack}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
