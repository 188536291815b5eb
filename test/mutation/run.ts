/**
 * Careless changes to the source, one at a time: which of them does no test notice? Exits with 1 below the score that is asked for.
 *   node test/mutation/run.ts [--room NAME]… [--file PART] [--changed [--since main]] [--test PATH]… [--sample N [--seed 1]]
 *                             [--concurrency 1] [--least 85]
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { MutantResult } from "@stryker-mutator/api/core";
import { Stryker } from "@stryker-mutator/core";
import { MORE_ROOMS, ROOMS, type Room } from "./rooms.ts";
import { type Score, scoreOf, together } from "./score.ts";

const { values } = parseArgs({
  options: {
    room: { type: "string", multiple: true, default: [...ROOMS.keys()] },
    /** Only the files of the room whose paths hold this. */
    file: { type: "string", default: "" },
    /** Only files that differ from this commit. */
    changed: { type: "boolean", default: false },
    since: { type: "string", default: "main" },
    /** Only these tests, by their paths; all those of the room otherwise. */
    test: { type: "string", multiple: true },
    /** Not all mutants of a room, but so many of those that tests reach. */
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    concurrency: { type: "string", default: "1" },
    least: { type: "string", default: "85" },
  },
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const percent = ({ percent, margin }: Pick<Score, "percent" | "margin">): string =>
  `${percent.toFixed(1)} %${margin === 0 ? "" : ` ± ${margin.toFixed(1)}`}`;

function filesOf(room: Room): string[] {
  const files = globSync(room.files).filter((file) => !file.endsWith(".test.ts") && file.includes(values.file));
  if (!values.changed) return files;
  const changed = new Set(
    execFileSync("git", ["diff", "--name-only", values.since, "--", "src"], { encoding: "utf8" }).split("\n"),
  );
  return files.filter((file) => changed.has(file));
}

async function mutate(files: string[], tests: readonly string[], isolate: boolean): Promise<MutantResult[]> {
  process.env.MUTATION_TESTS = tests.join(",");
  process.env.MUTATION_ISOLATE = String(isolate);
  process.env.MUTATION_SAMPLE = values.sample;
  process.env.MUTATION_SEED = values.seed;
  return await new Stryker({
    mutate: files,
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner", "./test/mutation/sample-checker.ts"],
    checkers: values.sample === undefined ? [] : ["sample"],
    vitest: { configFile: "test/mutation/vitest.config.ts", related: false },
    coverageAnalysis: "perTest",
    // What runs once at the start would need every test again.
    ignoreStatic: true,
    concurrency: Number(values.concurrency),
    tempDirName: ".cache/stryker",
    // None: it would be rewritten with the API of an older TypeScript, and nothing here compiles.
    tsconfigFile: "none.json",
    ignorePatterns: ["dist", ".cache", "docs", "examples"],
    reporters: [],
    logLevel: "error" as never,
    timeoutMS: 30_000,
    // All tests of a room, one after the other.
    dryRunTimeoutMinutes: 30,
    allowConsoleColors: false,
  } as never).runMutationTest();
}

/** A line for each change that no test noticed: where, what stood there, and what stands there now. */
function saySurvivors(results: readonly MutantResult[]): void {
  for (const { fileName, location, mutatorName, replacement = "", status } of results) {
    if (status !== "Survived" && status !== "NoCoverage") continue;
    const { start, end } = location;
    const lines = readFileSync(fileName, "utf8")
      .split("\n")
      .slice(start.line - 1, end.line);
    const last = lines.length - 1;
    lines[last] = lines[last]?.slice(0, end.column - 1) ?? "";
    lines[0] = lines[0]?.slice(start.column - 1) ?? "";
    const place = `${fileName.slice(fileName.indexOf("src/"))}:${start.line}:${start.column}`;
    const shown = (text: string): string => text.replace(/\s+/g, " ").slice(0, 80);
    say(
      `${status === "NoCoverage" ? "not reached" : "survived"}  ${place}  ${mutatorName}: ${shown(lines.join("\n"))} → ${shown(replacement)}`,
    );
  }
}

const scores: Score[] = [];
for (const name of values.room) {
  const room = ROOMS.get(name) ?? MORE_ROOMS.get(name);
  if (room === undefined) throw new Error(`--room is one of ${[...ROOMS.keys(), ...MORE_ROOMS.keys()].join(", ")}`);
  const files = filesOf(room);
  if (files.length === 0) continue;
  const results = await mutate(files, values.test ?? room.tests, room.isolate);
  saySurvivors(results);
  const score = scoreOf(results);
  scores.push(score);
  const { total, notReached, run, killed } = score;
  say(`${name}: ${percent(score)} of ${total} (${killed} of ${run} that were run, ${notReached} not reached)\n`);
}
if (scores.length > 1)
  say(`all ${scores.length} rooms: ${percent(together(scores))} of ${together(scores).total}, ${together(scores).run} run`);
process.exitCode = scores.every(({ percent }) => percent >= Number(values.least)) ? 0 : 1;
