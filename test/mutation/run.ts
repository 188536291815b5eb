/**
 * Careless changes to the source, one at a time: which of them does no test notice? Exits with 1 below the score that is asked for.
 *   node test/mutation/run.ts [--room NAME]… [--file PART] [--test PATH]… [--concurrency 1] [--least 85]
 */
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { ROOMS } from "./rooms.ts";

const { values } = parseArgs({
  options: {
    room: { type: "string", multiple: true, default: [...ROOMS.keys()] },
    /** Only the files of the room whose names hold this. */
    file: { type: "string", default: "" },
    /** Only these tests, by their paths; all those of the room otherwise. */
    test: { type: "string", multiple: true },
    concurrency: { type: "string", default: "1" },
    least: { type: "string", default: "85" },
  },
});

const KILLED: ReadonlySet<string> = new Set(["Killed", "Timeout"]);
const SURVIVED: ReadonlySet<string> = new Set(["Survived", "NoCoverage"]);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

let isGoodEnough = true;
for (const name of values.room) {
  const room = ROOMS.get(name);
  if (room === undefined) throw new Error(`--room is one of ${[...ROOMS.keys()].join(", ")}`);
  process.env.MUTATION_TESTS = (values.test ?? room.tests).join(",");
  const files = values.file === "" ? room.files : room.files.replace("*.ts", `*${values.file}*.ts`);
  const results = await new Stryker({
    mutate: [files, "!src/**/*.test.ts"],
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "test/mutation/vitest.config.ts", related: false },
    coverageAnalysis: "perTest",
    // What runs once at the start would need every test again.
    ignoreStatic: true,
    concurrency: Number(values.concurrency),
    tempDirName: ".cache/stryker",
    // None: it would be rewritten with the API of an older TypeScript, and nothing here compiles.
    tsconfigFile: "none.json",
    incrementalFile: ".cache/stryker/incremental.json",
    ignorePatterns: ["dist", ".cache", "docs", "examples"],
    reporters: [],
    logLevel: "error" as never,
    timeoutMS: 20_000,
    allowConsoleColors: false,
  } as never).runMutationTest();
  const survivors = results.filter(({ status }) => SURVIVED.has(status));
  const killed = results.filter(({ status }) => KILLED.has(status)).length;
  for (const { fileName, location, mutatorName, replacement = "", status } of survivors) {
    const place = `${fileName.slice(fileName.indexOf("src/"))}:${location.start.line}:${location.start.column}`;
    say(
      `${status === "NoCoverage" ? "not reached" : "survived"}  ${place}  ${mutatorName}  ${replacement.slice(0, 90).replace(/\s+/g, " ")}`,
    );
  }
  const score = (100 * killed) / Math.max(1, killed + survivors.length);
  say(`${name}: ${killed} of ${killed + survivors.length} killed, ${score.toFixed(1)} %\n`);
  if (score < Number(values.least)) isGoodEnough = false;
}
process.exitCode = isGoodEnough ? 0 : 1;
