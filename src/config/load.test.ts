import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { configOf, cwd, load, problemsOf, useConfigFolder } from "../../test/support/config-folder.ts";
import { isLoopback } from "./loopback.ts";
import { presetMaxHeldBytes } from "./max-held-bytes.ts";
import { configSchema } from "./schema.ts";
import { parseSize } from "./units.ts";

useConfigFolder();

describe("what is there without a word of configuration", () => {
  it("needs no file, no variables and no flags", () => {
    expect(load(undefined)).toEqual({
      file: undefined,
      warnings: [],
      config: {
        host: "127.0.0.1",
        port: 8787,
        workers: 1,
        upstreams: [],
        timeouts: {
          connect: 5000,
          queue: 30_000,
          firstToken: 180_000,
          idle: 120_000,
          alive: 600_000,
          total: 900_000,
          unstreamed: 3_600_000,
          stream: false,
          request: 120_000,
        },
        retry: {
          maxAttempts: 3,
          outage: 25_000,
          backoff: { initial: 1000, factor: 2, max: 5000, jitter: true },
          budget: { percent: 20, min: 20 },
          maxRetryAfter: 60_000,
        },
        failover: { on: ["unreachable", "status", "timeout", "empty", "truncated", "credentials"], codes: [] },
        health: { every: false, path: "/models" },
        hedge: { after: false, percent: 5 },
        heartbeat: { after: 15_000, every: 15_000 },
        recovery: "error",
        replay: false,
        store: false,
        record: false,
        resume: {
          proof: "auto",
          maxAttempts: 1,
          minChars: 40,
          tail: 24,
          tools: "refuse",
          structured: "refuse",
          background: false,
        },
        progress: false,
        interruptEnd: "auto",
        gate: { open: "content", toolCalls: "hold", holdFor: 60_000, lag: false },
        warmup: false,
        nonStreaming: "direct",
        limits: {
          maxBodyBytes: 33_554_432,
          maxEventBytes: 16_777_216,
          maxGateBytes: 1_048_576,
          maxHeldBytes: parseSize(presetMaxHeldBytes()),
          maxStreams: 1000,
          maxClientConnections: 4000,
        },
        auth: { keys: [], named: [], maxStreamsPerKey: 0 },
        open: false,
        tls: false,
        cors: { origins: [] },
        drain: { timeout: 30_000 },
        log: { level: "info", format: "auto" },
        metrics: { enabled: true, public: false },
        dashboard: { text: false },
      },
    });
  });

  it.each(["", "# nothing here\n", "---\n", "timeouts:\n  # idle: 5s\nport:\n"])(
    "takes an empty file for the defaults: %j",
    (yaml) => {
      expect(configOf(yaml)).toEqual(configSchema.parse({}));
    },
  );

  it("ships an example that loads with no environment and equals the defaults", () => {
    cpSync(fileURLToPath(new URL("../../config.example.yaml", import.meta.url)), join(cwd, "perennial.yaml"));
    const { upstreams, ...rest } = configOf();
    const { upstreams: _, ...defaults } = configSchema.parse({});
    expect(rest).toEqual(defaults);
    expect(upstreams).toEqual(configSchema.parse({ upstreams: [{ baseUrl: "https://api.openai.com/v1" }] }).upstreams);
    expect(upstreams[0]?.apiKey).toBeUndefined();
    expect(configOf(undefined, { env: { OPENAI_API_KEY: "sk-1" } }).upstreams[0]?.apiKey).toBe("sk-1");
  });

  it("describes every key in a JSON schema", () => {
    type Node = z.core.JSONSchema.BaseSchema;
    const undescribed: string[] = [];
    const walk = (node: Node, path: string) => {
      for (const [key, child] of Object.entries((node.properties ?? {}) as Record<string, Node>)) {
        if (!child.description) undescribed.push(`${path}.${key}`);
        walk(child, `${path}.${key}`);
      }
      for (const child of [node.items, ...(node.anyOf ?? [])]) if (child) walk(child as Node, path);
    };
    walk(z.toJSONSchema(configSchema, { io: "input" }), "");
    expect(undescribed).toEqual([]);
  });
});

describe("which source wins", () => {
  const yaml =
    "port: 1001\nhost: localhost\nlog: { level: error }\nupstreams: [{ baseUrl: http://file/v1, name: mine, apiKey: of-file }]\n";

  it("lets the file win over the defaults, the environment over the file, the flags over all", () => {
    const env = {
      PERENNIAL_PORT: "1002",
      PERENNIAL_HOST: "::1",
      PERENNIAL_API_KEY: "of-env",
      PERENNIAL_UPSTREAM: "http://env/v1",
    };
    expect(configOf(yaml)).toMatchObject({ port: 1001, host: "localhost", log: { level: "error", format: "auto" } });
    expect(configOf(yaml, { env })).toMatchObject({
      port: 1002,
      host: "::1",
      log: { level: "error" },
      upstreams: [{ baseUrl: "http://env/v1", name: "mine", apiKey: "of-env" }],
    });
    const flags = { port: "1003", host: "127.0.0.2", upstream: "http://flag/v1/", logLevel: "debug" };
    expect(configOf(yaml, { env, flags })).toMatchObject({
      port: 1003,
      host: "127.0.0.2",
      log: { level: "debug" },
      upstreams: [{ baseUrl: "http://flag/v1", apiKey: "of-env" }],
    });
  });

  it("does not send the file's apiKey to another host than the file's, and says so", () => {
    const file = (baseUrl: string, key = "of-file") => `upstreams: [{ baseUrl: "${baseUrl}", apiKey: "${key}", name: mine }]`;
    const env = { PERENNIAL_UPSTREAM: "http://env:8000/v1" };
    for (const other of ["http://other:8000/v1", "http://env/v1", "https://env:8000/v1", "http://env:8000.evil.example/v1"]) {
      const { config, warnings } = load(file(other), { env });
      expect(config.upstreams).toMatchObject([{ baseUrl: "http://env:8000/v1", name: "mine" }]);
      expect(config.upstreams[0]?.apiKey).toBeUndefined();
      expect(warnings).toEqual([
        "PERENNIAL_UPSTREAM names another host than the file, so the file's apiKey is not sent to it; set PERENNIAL_API_KEY for a key of its own",
      ]);
    }
    expect(load(file("http://a"), { flags: { upstream: "http://b" } }).warnings[0]).toMatch(/^--upstream names another host/);
  });

  it("sends the file's apiKey to another path of its host, and a key from the environment wherever it is told to", () => {
    const yaml = "upstreams: [{ baseUrl: http://a/v1, apiKey: of-file }]";
    const same = load(yaml, { flags: { upstream: "http://A:80/other/v1" } });
    expect(same).toMatchObject({ config: { upstreams: [{ apiKey: "of-file" }] }, warnings: [] });
    const other = load(yaml, { flags: { upstream: "http://b" }, env: { PERENNIAL_API_KEY: "of-env" } });
    expect(other).toMatchObject({ config: { upstreams: [{ apiKey: "of-env" }] }, warnings: [] });
    // Whatever else is told beside it.
    const port = { port: "5" };
    expect(load(yaml, { flags: port })).toMatchObject({ config: { upstreams: [{ apiKey: "of-file" }] }, warnings: [] });
    expect(load(yaml, { flags: { ...port, upstream: "http://a/v2" } }).config.upstreams[0]?.apiKey).toBe("of-file");
    expect(load(yaml, { flags: port, env: { PERENNIAL_UPSTREAM: "http://b" } }).warnings).toEqual([
      expect.stringMatching(/^PERENNIAL_UPSTREAM names another host/),
    ]);
    // An empty one is none.
    expect(load('upstreams: [{ baseUrl: http://a, apiKey: "" }]', { flags: { upstream: "http://b" } }).warnings).toEqual([]);
    // Without a host of its own, the key was written for whichever the environment names.
    const alone = load("upstreams: [{ apiKey: of-file }]", { flags: { upstream: "http://b" } });
    expect(alone).toMatchObject({ config: { upstreams: [{ apiKey: "of-file" }] }, warnings: [] });
  });

  it("warns of keys that cannot be right, once for each upstream and each reason", () => {
    const yaml = `upstreams:
      - { name: none, baseUrl: "https://api.openai.com/v1" }
      - { name: right, baseUrl: "https://api.openai.com/v1", apiKey: sk-abc }
      - { name: wrong, baseUrl: "https://api.openai.com/v1", apiKey: gsk_abc }
      - { name: several, baseUrl: "https://api.openai.com/v1", apiKeys: [sk-abc, gsk_a, gsk_b, Bearer] }`;
    const shape = "the key has not the shape of OpenAI's keys (sk-…): it may be another provider's";
    expect(load(yaml).warnings).toEqual([
      `upstream wrong: ${shape}`,
      `upstream several: ${shape}`,
      "upstream several: the key begins with Bearer: give it without that word, which is put before it",
    ]);
  });

  it("does not ask for the variables of a key that is not sent", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's syntax
    const yaml = "upstreams:\n  - baseUrl: ${U}\n    apiKey: ${K}\n";
    const flags = { upstream: "http://b/v1" };
    expect(load(yaml, { flags }).config.upstreams[0]).toMatchObject({ baseUrl: "http://b/v1", apiKey: undefined });
    expect(load(yaml, { flags, env: { U: "http://b/v2", K: "k" } }).config.upstreams[0]?.apiKey).toBe("k");
    const several = "upstreams:\n  - { baseUrl: http://a/v1, apiKeys: [k1, k2] }\n";
    expect(load(several, { flags }).config.upstreams[0]).toMatchObject({ baseUrl: "http://b/v1", apiKeys: undefined });
    expect(load(several, {}).config.upstreams[0]?.apiKeys).toEqual(["k1", "k2"]);
    expect(problemsOf(yaml, { flags, env: { U: "http://b/v2" } })[0]).toContain("variable K is not set");
  });

  it("makes an upstream of a variable or a flag alone", () => {
    expect(configOf(undefined, { env: { PERENNIAL_UPSTREAM: "http://a/v1" } }).upstreams).toMatchObject([
      { name: "main", baseUrl: "http://a/v1" },
    ]);
    const both = configOf(undefined, { env: { PERENNIAL_API_KEY: "k" }, flags: { upstream: "http://b" } });
    expect(both.upstreams).toMatchObject([{ baseUrl: "http://b", apiKey: "k" }]);
  });

  it("changes the first of several upstreams, and keeps the others", () => {
    const several = "upstreams: [{ baseUrl: http://a, name: a }, { baseUrl: http://b, name: b }]";
    expect(configOf(several, { flags: { upstream: "http://c" } }).upstreams).toMatchObject([
      { name: "a", baseUrl: "http://c" },
      { name: "b", baseUrl: "http://b" },
    ]);
  });

  it("takes --quiet and --json for what they are short for, and --log-level over --quiet", () => {
    const log = (flags: object) => configOf("log: { level: debug }", { flags }).log;
    expect(log({ quiet: true, json: true })).toEqual({ level: "warn", format: "json" });
    expect(log({ quiet: false, json: false })).toEqual({ level: "debug", format: "auto" });
    expect(log({ quiet: true, logLevel: "info" })).toEqual({ level: "info", format: "auto" });
  });

  it("finds a folder that is named from where the file is", () => {
    expect(configOf("record: { dir: captures, maxFiles: 7 }").record).toMatchObject({ dir: join(cwd, "captures"), maxFiles: 7 });
  });

  it("takes an empty variable for one that is not set, and ignores variables it does not know", () => {
    expect(configOf(yaml, { env: { PERENNIAL_PORT: "", PERENNIAL_CONFIG: "", PERENNIAL_COLOUR: "x" } }).port).toBe(1001);
  });

  it("reads the file that --config names, else PERENNIAL_CONFIG, else perennial.yaml", () => {
    mkdirSync(join(cwd, "etc"));
    writeFileSync(join(cwd, "etc/a.yaml"), "port: 1");
    writeFileSync(join(cwd, "etc/b.yaml"), "port: 2");
    const env = { PERENNIAL_CONFIG: "etc/a.yaml" };
    expect(load("port: 3")).toMatchObject({ file: join(cwd, "perennial.yaml"), config: { port: 3 } });
    expect(load(undefined, { env })).toMatchObject({ file: join(cwd, "etc/a.yaml"), config: { port: 1 } });
    expect(load(undefined, { env, file: "etc/b.yaml" })).toMatchObject({ file: join(cwd, "etc/b.yaml"), config: { port: 2 } });
  });

  it("does not complain about a value in the file that a flag replaces", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's syntax
    expect(configOf("port: ${PORT}\nhost: a b\n", { flags: { port: "5", host: "localhost" } }).port).toBe(5);
  });
});

describe("mistakes", () => {
  it.each([
    ["timeouts:\n  firstToken: fast", '2:3: timeouts.firstToken: expected a duration such as 500ms, 30s or 10m, got "fast"'],
    ["timeouts: { idle: 30 }", "1:13: timeouts.idle: expected a duration such as 500ms, 30s or 10m, got 30"],
    ["timeouts: { idle: 0 }", "1:13: timeouts.idle: expected a duration of more than 0, such as 30s, got 0"],
    ["timeouts: 30s", "1:1: timeouts: expected a mapping, got some text (not shown)"],
    ["limits: { maxBodyBytes: 32M }", '1:11: limits.maxBodyBytes: expected a size such as 512KiB, 4MiB or 65536, got "32M"'],
    ["limits: { maxStreams: 0 }", "1:11: limits.maxStreams: expected a whole number of at least 1, got 0"],
    ["port: 70000", "1:1: port: expected a whole number from 0 to 65535, got 70000"],
    [
      "upstreams: [{ baseUrl: http://a, rate: { requests: 200 } }]",
      "1:42: upstreams[0].rate.requests: expected a rate such as 200/m (s, m, h or d), got 200",
    ],
    [
      "upstreams: [{ baseUrl: http://a, rate: { models: { m: { token: 5/m } } } }]",
      "1:57: upstreams[0].rate.models.m.token: unknown key; did you mean tokens?",
    ],
    [
      "auth: { keys: [{ key: a, priority: -1 }] }",
      "1:26: auth.keys[0].priority: expected a whole number of at least 0, got a number",
    ],
    ["auth: { keys: [{ key: a, name: key-2 }, { key: b }] }", "1:41: auth.keys[1].name: this name is used twice"],
    ["port: 1.5", "1:1: port: expected a whole number from 0 to 65535, got 1.5"],
    ["retry: { maxAttempts: 21 }", "1:10: retry.maxAttempts: expected a whole number from 1 to 20, got 21"],
    ["retry: { backoff: { factor: 0.5 } }", "1:21: retry.backoff.factor: expected a number of at least 1, got 0.5"],
    ["recovery: hope", '1:1: recovery: expected error, resume or continue, got "hope"'],
    ["interruptEnd: slow", '1:1: interruptEnd: expected auto, clean or cut, got "slow"'],
    ["heartbeat: on", '1:1: heartbeat: expected off, or a mapping with after and every, got "on"'],
    ["heartbeat: { every: 0 }", "1:14: heartbeat.every: expected a duration of more than 0, such as 30s, got 0"],
    ["heartbeat: { evry: 1s }", "1:14: heartbeat.evry: unknown key; did you mean every?"],
    ["prot: 1", "1:1: prot: unknown key; did you mean port?"],
    ["timeouts:\n  first_token: 1s", "2:3: timeouts.first_token: unknown key; did you mean firstToken?"],
    ["drain: { retries: 1 }", "1:10: drain.retries: unknown key; known here: timeout"],
    ["upstreams: [{ name: x }]", "1:13: upstreams[0].baseUrl: is missing; expected a URL such as https://api.openai.com/v1"],
    ["upstreams: [{ baseUrl: api }]", '1:15: upstreams[0].baseUrl: expected a URL such as https://api.openai.com/v1, got "api"'],
    [
      "upstreams: [{ baseUrl: 'ftp://a' }]",
      '1:15: upstreams[0].baseUrl: expected a URL that begins with http:// or https://, got "ftp://a"',
    ],
    ["upstreams: [{ baseUrl: 'http://a?b' }]", "1:15: upstreams[0].baseUrl: a base URL ends before any ? or #"],
    [
      "upstreams: [{ baseUrl: 'http://a', profile: vlm }]",
      '1:36: upstreams[0].profile: expected openai, azure, anthropic, vllm, sglang, fastchat, xinference, llamacpp, ollama, lmstudio, deepseek, openrouter, chatglm3 or chatchat, got "vlm"',
    ],
    ["upstreams: { baseUrl: 'http://a' }", "1:1: upstreams: expected a list, got a mapping"],
    ["- port", "1:1: expected a mapping, got a list"],
    ["port: 1\nport: 2", "2:1: the key port is there twice"],
    ["port: 1\n\tlog: {}", "2:1: not valid YAML: Tabs are not allowed as indentation"],
    ["host: &a [*a,*a]", "1:1: host: expected an address such as 127.0.0.1, ::1 or localhost, got a list"],
    ["port: *nope", "1:7: this alias stands for nothing; text that begins with * needs quotes"],
  ])("explains %j", (yaml, problem) => {
    expect(problemsOf(yaml)[0]).toBe(`perennial.yaml:${problem}`);
  });

  it("reports all of them at once, in the order of the file", () => {
    const problems = problemsOf("log: { level: loud }\nhost: 0.0.0.0\nprot: 1\ntimeouts: { idle: x }\n", {
      flags: { port: "x" },
    });
    expect(problems.map((problem) => problem.split(": ").slice(0, 2).join(" "))).toEqual([
      '--port expected a whole number from 0 to 65535, got "x"',
      "perennial.yaml:1:8 log.level",
      "perennial.yaml:2:1 host",
      "perennial.yaml:3:1 prot",
      "perennial.yaml:4:13 timeouts.idle",
    ]);
  });

  it("says the variable's or the flag's name in place of a line", () => {
    expect(problemsOf("port: 1", { env: { PERENNIAL_PORT: "web" } })).toEqual([
      'PERENNIAL_PORT: expected a whole number from 0 to 65535, got "web"',
    ]);
    expect(problemsOf("port: 1", { flags: { logLevel: "loud" } })).toEqual([
      '--log-level: expected trace, debug, info, warn, error, fatal or silent, got "loud"',
    ]);
  });

  it("says what stands where a flag's value would, when that is no place for it", () => {
    const flags = { upstream: "http://a", quiet: true };
    expect(problemsOf("upstreams: text\nlog: text\n", { flags })).toEqual([
      "perennial.yaml:1:1: upstreams: expected a list, got some text (not shown)",
      "perennial.yaml:2:1: log: expected a mapping, got some text (not shown)",
    ]);
    expect(problemsOf("upstreams: { a: 1 }\nlog: [a]\n", { flags })).toEqual([
      "perennial.yaml:1:1: upstreams: expected a list, got a mapping",
      "perennial.yaml:2:1: log: expected a mapping, got a list",
    ]);
  });

  it("names what was told from outside before the first line of the file", () => {
    expect(problemsOf("open: 1", { env: { PERENNIAL_PORT: "x" } })).toEqual([
      'PERENNIAL_PORT: expected a whole number from 0 to 65535, got "x"',
      "perennial.yaml:1:1: open: expected true or false, got 1",
    ]);
  });

  it("says so when there is a key but no upstream", () => {
    expect(problemsOf(undefined, { env: { PERENNIAL_API_KEY: "sk-1", PERENNIAL_PORT: "x" } })).toEqual([
      "PERENNIAL_API_KEY: there is no upstream for this key; set PERENNIAL_UPSTREAM too, or name one in the file",
      'PERENNIAL_PORT: expected a whole number from 0 to 65535, got "x"',
    ]);
  });

  it("says so as well when the file has an empty list of them", () => {
    expect(problemsOf("upstreams: []", { env: { PERENNIAL_API_KEY: "sk-1" } })).toEqual([
      "PERENNIAL_API_KEY: there is no upstream for this key; set PERENNIAL_UPSTREAM too, or name one in the file",
    ]);
  });

  it("says so when there is a profile but no upstream, or a profile that is not known", () => {
    expect(problemsOf(undefined, { flags: { profile: "llamacpp" } })).toEqual([
      "--profile: there is no upstream for this profile; give --upstream too, or name one in the file",
    ]);
    const [problem] = problemsOf(undefined, { flags: { upstream: "http://a", profile: "lamacpp" } });
    expect(problem).toMatch(/^--profile: expected openai, .*llamacpp.*got "lamacpp"/);
  });

  it("says so when the file cannot be read", () => {
    expect(problemsOf(undefined, { file: "nope.yaml" })).toEqual(["nope.yaml: cannot be read: there is no such file"]);
    expect(problemsOf(undefined, { env: { PERENNIAL_CONFIG: "." } })).toEqual([".: cannot be read: it is a directory"]);
    expect(problemsOf(undefined, { file: "/dev/null" })).toEqual(["/dev/null: cannot be read: it is not a regular file"]);
    const list = (anchor: string, item: string): string => `${anchor}: &${anchor} [${Array(20).fill(item).join(", ")}]`;
    expect(problemsOf([list("a", "x"), list("b", "*a"), list("c", "*b"), list("d", "*c")].join("\n"))).toEqual([
      "perennial.yaml: cannot be read: its aliases expand to far too much",
    ]);
  });

  it("refuses a takeover that would lack the clients' keys, or has nothing to take over", () => {
    const NO_KEY =
      "this upstream is asked with its clients' keys, which are not stored for store.takeover: set apiKey (any word for a server that wants none), or auth.keys";
    const problemsWith = (upstreams: string, more = ""): string[] =>
      problemsOf(`store: { url: redis://h, takeover: true }\nupstreams: [${upstreams}]\n${more}`).map((line) =>
        line.replace(/^perennial\.yaml:\d+:\d+: /, ""),
      );
    const [keyed, bare, lent] = [
      "{ name: a, baseUrl: http://a, apiKey: k }",
      "{ name: b, baseUrl: http://b }",
      "{ name: c, baseUrl: http://c, clientKey: true }",
    ];
    expect(problemsWith(`${keyed}`)).toEqual([
      "store.takeover: only answers that are kept can be taken over: set replay, such as replay: {}",
    ]);
    expect(problemsWith(`${keyed}`, "replay: {}")).toEqual([]);
    expect(problemsWith(`${keyed}, ${bare}, ${lent}`, "replay: {}")).toEqual([
      `upstreams[1].apiKey: ${NO_KEY}`,
      `upstreams[2].apiKey: ${NO_KEY}`,
    ]);
    // Its clients' keys open our own door, and go no further.
    expect(problemsWith(`${bare}`, "replay: {}\nauth: { keys: [abc] }")).toEqual([]);
  });

  it("says what is wrong with several upstreams", () => {
    const two = (first: string, second: string, more = ""): string =>
      `upstreams:\n  - { name: a, baseUrl: http://a, ${first} }\n  - { name: b, baseUrl: http://b, ${second} }\n${more}`;
    expect(problemsOf("upstreams:\n  - baseUrl: http://a\n  - baseUrl: http://b\n")).toEqual([
      'perennial.yaml:3:5: upstreams[1].name: the name "main" is used twice',
    ]);
    expect(problemsOf(two("weight: 0", "priority: -1"))).toEqual([
      "perennial.yaml:2:35: upstreams[0].weight: expected a number of more than 0, got 0",
      "perennial.yaml:3:35: upstreams[1].priority: expected a whole number of at least 0, got -1",
    ]);
    expect(problemsOf(two("only: []", "models: { a: 1 }"))).toEqual([
      "perennial.yaml:2:35: upstreams[0].only: expected at least one name, such as qwen*; leave it out for all models, got a list",
      "perennial.yaml:3:45: upstreams[1].models.a: expected the name of a model, got 1",
    ]);
    expect(problemsOf(two("apiKey: k, clientKey: true", "clientKey: true"))).toEqual([
      "perennial.yaml:2:46: upstreams[0].clientKey: a key of yours is sent in place of the client's own key: leave one of the two out",
    ]);
    expect(problemsOf(two("weight: 1", "weight: 2", "failover: { on: [late], codes: [200] }"))).toEqual([
      'perennial.yaml:4:18: failover.on[0]: expected unreachable, status, timeout, empty, truncated or credentials, got "late"',
      "perennial.yaml:4:33: failover.codes[0]: expected a whole number from 400 to 599, got 200",
    ]);
  });
});

describe("who may come in", () => {
  const REFUSED = "this host can be reached from other machines: add a key to auth.keys, or set open: true to serve everybody";

  it("refuses to listen to the world without keys, and names both ways out", () => {
    expect(problemsOf("host: 0.0.0.0")).toEqual([`perennial.yaml:1:1: host: ${REFUSED}`]);
    expect(problemsOf(undefined, { env: { PERENNIAL_HOST: "::" } })).toEqual([`PERENNIAL_HOST: ${REFUSED}`]);
    expect(problemsOf(undefined, { flags: { host: "192.168.1.2" } })).toEqual([`--host: ${REFUSED}`]);
  });

  it("accepts keys, or open in either place", () => {
    expect(configOf("host: 0.0.0.0\nauth: { keys: [abc] }")).toMatchObject({ open: false, auth: { keys: ["abc"] } });
    expect(configOf("host: 0.0.0.0\nopen: true")).toMatchObject({ open: true, auth: { keys: [] } });
    expect(configOf("host: 0.0.0.0\nauth: { open: true }").open).toBe(true);
  });

  it("knows which addresses are loopback", () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "localhost"]) expect(isLoopback(host)).toBe(true);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.evil.example", "localhost.evil.example"])
      expect(isLoopback(host)).toBe(false);
  });
});

describe("secrets", () => {
  it.each([
    'upstreams: [{ baseUrl: http://a, apiKey: "S3CRET x" }]',
    "upstreams: [{ baseUrl: http://a, apiKey: { S3CRET: 1 } }]",
    "upstreams: [{ baseUrl: 'ftp://u:S3CRET@a' }]",
    "upstreams: [{ baseUrl: 'http://u:S3CRET@a' }]",
    "upstreams: [apiKey S3CRET]",
    "upstreams: S3CRET",
    "auth: { keys: [S3CRET x] }",
    "auth: { keys: S3CRET }",
    "auth: { keys: [{ S3CRET }] }",
    "auth: { keys: [{ key: a, name: 'S3CRET x' }] }",
    "auth: { keys: [{ key: a, rate: { requests: S3CRET } }] }",
    "auth: { S3CRET }",
    "auth: S3CRET",
    "auth:\n  keys:\n    - *S3CRET",
    "auth:\n  keys:\n  - a\n S3CRET",
    "auth:\n  keys: >S3CRET",
    "auth:\n  keys: !S3CRET a",
    "auth:\n  keys: [@S3CRET]",
    'auth:\n  keys: ["S3CRET',
    "S3CRET",
    "name: sk-S3CRET\nport: sk-S3CRET",
  ])("never shows one in an error: %j", (yaml) => {
    const problems = problemsOf(yaml);
    expect(problems).not.toEqual([]);
    expect(problems.join("\n")).not.toContain("S3CRET");
  });

  it("never shows one from a variable", () => {
    const problems = problemsOf(undefined, { env: { PERENNIAL_UPSTREAM: "http://u:S3CRET@a", PERENNIAL_API_KEY: "S3CRET\n" } });
    expect(problems).toEqual([
      "PERENNIAL_UPSTREAM: a URL here holds no user name or password; put the key in apiKey",
      "PERENNIAL_API_KEY: expected a key without spaces or line breaks, got some text (not shown)",
    ]);
  });
});

describe("keys and openness from the environment", () => {
  it("takes PERENNIAL_KEYS as a list in place of the file's, without the spaces around", () => {
    const yaml = "auth: { keys: [of-file], maxStreamsPerKey: 2 }";
    expect(configOf(yaml, { env: { PERENNIAL_KEYS: "one" } }).auth).toEqual({ keys: ["one"], named: [], maxStreamsPerKey: 2 });
    expect(configOf(yaml, { env: { PERENNIAL_KEYS: " one , 0012,two" } }).auth.keys).toEqual(["one", "0012", "two"]);
    expect(configOf(yaml, { env: { PERENNIAL_KEYS: "" } }).auth.keys).toEqual(["of-file"]);
    expect(configOf("host: 0.0.0.0", { env: { PERENNIAL_KEYS: "one" } }).host).toBe("0.0.0.0");
  });

  it.each(["one,", ",one", "one,,two", " ", ","])("refuses PERENNIAL_KEYS=%j, since an empty key would open the door", (keys) => {
    expect(problemsOf("", { env: { PERENNIAL_KEYS: keys } })).toEqual([
      "PERENNIAL_KEYS: expected a key without spaces or line breaks, got empty text",
    ]);
  });

  it("does not show a key that it refuses", () => {
    expect(problemsOf("", { env: { PERENNIAL_KEYS: "my secret" } })).toEqual([
      "PERENNIAL_KEYS: expected a key without spaces or line breaks, got some text (not shown)",
    ]);
  });

  it("takes PERENNIAL_OPEN for exactly true or false, whichever name the file uses", () => {
    expect(configOf("", { env: { PERENNIAL_OPEN: "true" } }).open).toBe(true);
    expect(configOf("open: true", { env: { PERENNIAL_OPEN: "false" } }).open).toBe(false);
    expect(configOf("auth: { open: true }", { env: { PERENNIAL_OPEN: "false" } }).open).toBe(false);
    expect(configOf("open: true", { env: { PERENNIAL_OPEN: "" } }).open).toBe(true);
    for (const text of ["yes", "1", "True", " true"])
      expect(problemsOf("", { env: { PERENNIAL_OPEN: text } })).toEqual([
        `PERENNIAL_OPEN: expected true or false, got ${JSON.stringify(text)}`,
      ]);
  });
});
