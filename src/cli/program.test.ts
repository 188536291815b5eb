import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LoadedConfig } from "../config/load.ts";
import type { InitOptions } from "../doctor/run-init.ts";
import type { DoctorRequest } from "./doctor-command.ts";
import { type ChaosOptions, type RecordOptions, type ReplayOptions, runProgram } from "./program.ts";
import type { TryOptions } from "./run-try.ts";

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "perennial-cli-"));
});
afterEach(() => rmSync(cwd, { recursive: true }));

async function run(args: string[], env: Record<string, string> = {}) {
  const result = {
    out: "",
    err: "",
    served: [] as LoadedConfig[],
    chaos: [] as ChaosOptions[],
    examined: [] as DoctorRequest[],
    setup: [] as (InitOptions | TryOptions)[],
    captures: [] as (RecordOptions | ReplayOptions)[],
    code: -1,
  };
  result.code = await runProgram(args, {
    serve: async (loaded) => void result.served.push(loaded),
    chaos: async (options) => void result.chaos.push(options),
    doctor: async (options) => {
      result.examined.push(options);
      return options.model === "broken" ? 1 : 0;
    },
    init: async (options) => {
      result.setup.push(options);
      return 0;
    },
    try: async (options) => {
      result.setup.push(options);
      return options.prompt === "broken" ? 1 : 0;
    },
    top: async () => 0,
    record: async (options) => void result.captures.push(options),
    replay: async (options) => void result.captures.push(options),
    stdout: { write: (text) => (result.out += text) },
    stderr: { write: (text) => (result.err += text) },
    env,
    cwd,
  });
  return result;
}

it("serves when no command is named, with flags over the environment", async () => {
  const { code, served } = await run(["--port", "9000", "--upstream", "http://a/v1", "--log-level", "debug"], {
    PERENNIAL_PORT: "1",
  });
  expect(code).toBe(0);
  expect(served).toMatchObject([
    { file: undefined, config: { port: 9000, upstreams: [{ baseUrl: "http://a/v1" }], log: { level: "debug" } } },
  ]);
});

it("logs less with --quiet, and JSON with --json; --log-level is stronger", async () => {
  const { served } = await run(["--quiet", "--json"]);
  expect(served).toMatchObject([{ config: { log: { level: "warn", format: "json" } } }]);
  expect((await run(["--quiet", "--log-level", "debug"])).served).toMatchObject([{ config: { log: { level: "debug" } } }]);
});

it("presets what fits the server that --profile names, over the file's profile and under what is set by hand", async () => {
  const { served } = await run(["--upstream", "http://a/v1", "--profile", "llamacpp"]);
  expect(served).toMatchObject([{ config: { upstreams: [{ keepAlive: 4_000, timeouts: { firstToken: 600_000 } }] } }]);
  writeFileSync(join(cwd, "a.yaml"), "upstreams: [{ baseUrl: http://a/v1, profile: chatglm3, timeouts: { firstToken: 7m } }]");
  const [other] = (await run(["--config", "a.yaml", "--profile", "anthropic"])).served;
  expect(other).toMatchObject({
    config: { upstreams: [{ keyHeader: "x-api-key", emptyFallback: "last", timeouts: { firstToken: 420_000 } }] },
  });
});

it("serves with the file that --config names", async () => {
  writeFileSync(join(cwd, "a.yaml"), "port: 7");
  const { served } = await run(["serve", "--config", "a.yaml", "--host", "localhost"]);
  expect(served).toMatchObject([{ file: join(cwd, "a.yaml"), config: { port: 7, host: "localhost" } }]);
});

it("does not serve with a wrong configuration, and exits with 2", async () => {
  const { code, err, served } = await run(["--port", "web"]);
  expect({ code, err, served }).toEqual({
    code: 2,
    served: [],
    err: '--port: expected a whole number from 0 to 65535, got "web"\n',
  });
});

it.each([
  [["--upstream", ""], "--upstream"],
  [["--upstream="], "--upstream"],
  [["--upstream", "http://a", "--profile", ""], "--profile"],
  [["--host", ""], "--host"],
  [["--port", ""], "--port"],
  [["--log-level", ""], "--log-level"],
  [["--config", ""], "--config"],
  [["check-config", ""], "file"],
  [["chaos", "--host", ""], "--host"],
])("refuses an empty flag, such as a shell makes of an unset variable, and names it: %j", async (args, name) => {
  const { code, err, served, chaos } = await run(args, { PERENNIAL_UPSTREAM: "http://a/v1" });
  expect({ code, served, chaos }).toEqual({ code: 2, served: [], chaos: [] });
  expect(err).toContain(name);
  expect(err).toMatch(/expected/i);
});

it("prints the resulting configuration with secrets masked", async () => {
  writeFileSync(join(cwd, "perennial.yaml"), "port: 7\nauth: { keys: [my-secret] }\n");
  const { code, out } = await run(["check-config"], { PERENNIAL_UPSTREAM: "http://a", PERENNIAL_API_KEY: "my-secret" });
  expect(code).toBe(0);
  expect(out).toContain("perennial.yaml");
  expect(out).toContain("port: 7");
  expect(out).not.toContain("my-secret");
});

it("prints what the configuration is warned of beside it, on stderr", async () => {
  writeFileSync(join(cwd, "perennial.yaml"), "upstreams: [{ baseUrl: http://a, apiKey: my-secret }]");
  const { code, out, err } = await run(["check-config"], { PERENNIAL_UPSTREAM: "http://b" });
  expect(code).toBe(0);
  expect(out).not.toContain("apiKey");
  expect(err).toMatch(/^PERENNIAL_UPSTREAM names another host/);
});

it("prints the problems of the file that check-config names on stderr, and exits with 2", async () => {
  writeFileSync(join(cwd, "b.yaml"), "prot: 7\nlog: { level: loud }\n");
  const { code, out, err } = await run(["check-config", "b.yaml"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toBe(
    "b.yaml:1:1: prot: unknown key; did you mean port?\n" +
      'b.yaml:2:8: log.level: expected trace, debug, info, warn, error, fatal or silent, got "loud"\n',
  );
});

it("hands chaos its options", async () => {
  expect((await run(["chaos"])).chaos).toEqual([{ port: 8788, host: "127.0.0.1", list: false }]);
  const behind = ["--as", "chatchat-0.2", "--model", "http://127.0.0.1:8787/v1"];
  expect((await run(["chaos", ...behind])).chaos).toMatchObject([{ as: "chatchat-0.2", model: "http://127.0.0.1:8787/v1" }]);
  expect((await run(["chaos", "--fault", "close@a", "--rate", "0.5@a,0.05@b"])).chaos).toMatchObject([
    { fault: "close@a", rate: { a: 0.5, b: 0.05 } },
  ]);
  expect((await run(["chaos", "--port", "0", "--host", "::1", "--list"])).chaos).toEqual([{ port: 0, host: "::1", list: true }]);
});

it("hands init and try their options, and ends with their exit code", async () => {
  const init = await run(["init", "--upstream", "http://a/v1", "--key-from", "KEY", "--port", "0", "--force"]);
  expect(init.setup).toEqual([{ upstream: "http://a/v1", keyVariable: "KEY", port: 0, out: "perennial.yaml", force: true }]);
  const tried = await run(["try", "broken", "--url", "http://127.0.0.1:9/v1/", "--model", "m"]);
  expect(tried.code).toBe(1);
  expect(tried.setup).toEqual([{ prompt: "broken", url: "http://127.0.0.1:9", model: "m" }]);
  expect((await run(["try", "--url", "localhost"])).err).toContain("http or https URL");
});

it("has the doctor examine a URL, with the key of the environment, or what a file configures", async () => {
  const { code, examined } = await run(["doctor", "http://a/v1", "--model", "m", "--timeout", "5m", "--json"], {
    PERENNIAL_API_KEY: "k",
  });
  expect(code).toBe(0);
  expect(examined).toMatchObject([
    { config: { upstreams: [{ baseUrl: "http://a/v1", apiKey: "k" }] }, model: "m", patienceMs: 300_000, json: true },
  ]);
  writeFileSync(join(cwd, "a.yaml"), "upstreams: [{ baseUrl: http://b/v1, profile: vllm }]");
  const file = await run(["doctor", "--config", "a.yaml"]);
  expect(file.examined).toMatchObject([{ config: { upstreams: [{ baseUrl: "http://b/v1", profile: "vllm" }] } }]);
});

it("ends with the doctor's exit code, and with 2 where there is nothing to examine", async () => {
  expect((await run(["doctor", "http://a/v1", "--model", "broken"])).code).toBe(1);
  const { code, err, examined } = await run(["doctor"]);
  expect({ code, examined }).toEqual({ code: 2, examined: [] });
  expect(err).toContain("perennial doctor URL");
  expect((await run(["doctor", "http://a/v1", "--timeout", "soon"])).err).toContain("expected a duration");
});

it("hands record and replay their options", async () => {
  const asked = ["record", "--out", "a.json", "--upstream", "https://a/v1", "--mask-texts", "--count", "3", "--port", "0"];
  expect((await run(asked)).captures).toEqual([
    { out: "a.json", upstream: "https://a/v1", maskTexts: true, count: 3, port: 0, host: "127.0.0.1" },
  ]);
  expect((await run(["replay", "a.json"])).captures).toEqual([{ file: "a.json", port: 8788, host: "127.0.0.1" }]);
});

it.each([
  [["record", "--upstream", "https://a"], "--out"],
  [["record", "--out", "a.json"], "--upstream"],
  [["record", "--out", "a.json", "--upstream", "api.openai.com"], "http or https URL"],
  [["record", "--out", "a.json", "--upstream", "https://a", "--count", "0"], "from 1 on"],
  [["replay"], "file"],
])("refuses a capture that lacks something: %j", async (args, message) => {
  const { code, err, captures } = await run(args);
  expect({ code, captures }).toEqual({ code: 2, captures: [] });
  expect(err).toContain(message);
});

it.each([
  [["serv"], "unknown command 'serv' (commands: serve, check-config, profiles, doctor, init, try, top, chaos, record, replay)"],
  [["--prot", "1"], "unknown option '--prot'"],
  [["chaos", "--port", "1e3"], "Expected a whole number from 0 to 65535"],
  [["chaos", "--what"], "unknown option '--what'"],
  [["chaos", "--rate", "0.5@a,1"], "Expected a share for each of several upstreams"],
  [["chaos", "--rate", "5@a"], "Expected a number from 0 to 1"],
  [["check-config", "a", "b"], "too many arguments"],
  [["--port"], "argument missing"],
])("explains a wrong command line and exits with 2: %j", async (args, message) => {
  const { code, err, served, chaos } = await run(args);
  expect({ code, served, chaos }).toEqual({ code: 2, served: [], chaos: [] });
  expect(err).toContain(message);
});

it("prints help with examples, and the version", async () => {
  const help = await run(["--help"]);
  expect(help.code).toBe(0);
  for (const text of ["check-config", "chaos", "--upstream", "Examples:", "OPENAI_BASE_URL", "PERENNIAL_CONFIG"])
    expect(help.out).toContain(text);
  expect((await run(["--version"])).out).toMatch(/^\d+\.\d+\.\d+/);
});

it("leaves an error of the server to its caller", async () => {
  const serve = async () => Promise.reject(new Error("EADDRINUSE"));
  const output = { write: () => true };
  const doctor = async () => 0;
  const actions = { serve, chaos: serve, record: serve, replay: serve, doctor, init: doctor, try: doctor, top: doctor };
  await expect(runProgram([], { ...actions, stdout: output, stderr: output, env: {}, cwd })).rejects.toThrow("EADDRINUSE");
});
