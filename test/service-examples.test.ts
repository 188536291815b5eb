/** The service files of examples/: they start what there is, and give streams the time to finish. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { EXIT_USAGE, runProgram } from "../src/cli/program.ts";
import { loadConfig } from "../src/config/load.ts";

const read = (path: string): string => readFileSync(new URL(`../examples/${path}`, import.meta.url), "utf8");
const drainSeconds = loadConfig({ file: undefined, env: {}, flags: {}, cwd: "/nowhere" }).config.drain.timeout / 1000;
/** What is left when the drain is over; then the process ends by itself. */
const CLOSING_SECONDS = 5;

/** @returns what the command line would be refused for. */
async function refusalOf(args: readonly string[]): Promise<string> {
  let said = "";
  const out = { write: (text: string) => (said += text) };
  const nothing = async (): Promise<void> => {};
  await runProgram([...args], {
    serve: nothing,
    chaos: nothing,
    record: nothing,
    replay: nothing,
    doctor: async () => 0,
    init: async () => 0,
    try: async () => 0,
    top: async () => 0,
    stdout: out,
    stderr: out,
    env: {},
    cwd: "/nowhere",
  });
  return said;
}

describe("systemd", () => {
  const unit = read("systemd/perennial.service");
  const value = (key: string): string => new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1] ?? "";

  test("starts the built program with flags that it takes", async () => {
    const [, args = ""] = /dist\/main\.js (.*)$/.exec(value("ExecStart")) ?? [];
    // The file is not here; all else would be said first.
    expect(await refusalOf(args.split(" "))).toMatch(/perennial\.yaml.*(no such file|not found|does not exist|cannot be read)/i);
  });

  test("waits for running streams, and does not restart what cannot start", () => {
    expect(Number(value("TimeoutStopSec"))).toBeGreaterThanOrEqual(drainSeconds + CLOSING_SECONDS);
    expect(Number(value("RestartPreventExitStatus"))).toBe(EXIT_USAGE);
  });
});

describe("launchd", () => {
  const plist = read("launchd/perennial.plist");

  test("starts the program with flags that it takes", async () => {
    const [, list = ""] = /<key>ProgramArguments<\/key>\s*<array>(.*?)<\/array>/s.exec(plist) ?? [];
    const words = [...list.matchAll(/<string>(.*?)<\/string>/g)].map(([, word = ""]) => word);
    expect(await refusalOf(words.slice(2))).toMatch(/perennial\.yaml.*(no such file|not found|does not exist|cannot be read)/i);
  });

  test("waits for running streams", () => {
    const [, seconds] = /<key>ExitTimeOut<\/key>\s*<integer>(\d+)</.exec(plist) ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(drainSeconds + CLOSING_SECONDS);
  });
});

test("the ways of writing a Windows path mean the same, and the way that is warned of does not", () => {
  const [, ...ways] = /write `([^`]+)`, `([^`]+)`, or `([^`]+)`/.exec(read("windows/README.md")) ?? [];
  const paths = ways.map((way) => String(parse(`ca: ${way}`).ca).replaceAll("\\", "/"));
  expect(paths).toEqual(["C:/keys/ca.pem", "C:/keys/ca.pem", "C:/keys/ca.pem"]);
  expect(() => parse('ca: "C:\\keys\\ca.pem"')).toThrow();
});
