/** One setting from two sources: flags, environment and file; what its client asks, what its upstream has, what holds for all. */
import { describe, expect } from "vitest";
import { chat } from "./support/client.ts";
import { configOf, load, useConfigFolder } from "./support/config-folder.ts";
import { chatEvents } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const ONCE = { retry: { maxAttempts: 1 } };

useConfigFolder();

describe("two sources of one setting", () => {
  const FILE = `upstreams: [{ baseUrl: "https://file.example/v1", apiKey: file-key, profile: vllm }]\nhost: 127.0.0.1\nport: 1001\nlog: { level: error }\n`;
  const ENV = {
    PERENNIAL_UPSTREAM: "https://env.example/v1",
    PERENNIAL_HOST: "127.0.0.2",
    PERENNIAL_PORT: "1002",
    PERENNIAL_LOG_LEVEL: "warn",
  };
  const FLAGS = { upstream: "https://flag.example/v1", host: "127.0.0.3", port: "1003", logLevel: "debug" };
  const seen = (...[yaml, options]: Parameters<typeof configOf>): unknown[] => {
    const { upstreams, host, port, log } = configOf(yaml, options);
    return [upstreams[0]?.baseUrl, host, port, log.level];
  };
  const file = ["https://file.example/v1", "127.0.0.1", 1001, "error"];
  const env = ["https://env.example/v1", "127.0.0.2", 1002, "warn"];
  const flags = ["https://flag.example/v1", "127.0.0.3", 1003, "debug"];

  test("the flag is over the environment, that over the file, whichever of them are there", () => {
    expect([seen(FILE), seen(FILE, { env: ENV }), seen(FILE, { flags: FLAGS }), seen(FILE, { env: ENV, flags: FLAGS })]).toEqual([
      file,
      env,
      flags,
      flags,
    ]);
    expect(seen(FILE, { env: { PERENNIAL_PORT: "1002" }, flags: { host: "127.0.0.3" } })).toEqual([
      file[0],
      flags[1],
      env[2],
      file[3],
    ]);
  });

  test.for([
    ["the file's to the file's host", FILE, {}, {}, "file-key"],
    ["the file's to the same host on another path", FILE, {}, { upstream: "https://file.example/other" }, "file-key"],
    [
      "the file's to the same host in other letters, with the port that goes without saying",
      FILE,
      {},
      { upstream: "HTTPS://FILE.example:443/v1" },
      "file-key",
    ],
    ["the file's to another host", FILE, {}, { upstream: "https://flag.example/v1" }, undefined],
    ["the file's to another port", FILE, {}, { upstream: "https://file.example:8443/v1" }, undefined],
    ["the file's over http", FILE, {}, { upstream: "http://file.example/v1" }, undefined],
    ["the file's to a host below it", FILE, {}, { upstream: "https://a.file.example/v1" }, undefined],
    ["the file's to the environment's host", FILE, ENV, {}, undefined],
    [
      "the file's where the flag goes back to the file's host, over the environment's",
      FILE,
      ENV,
      { upstream: "https://file.example/v1" },
      "file-key",
    ],
    ["the environment's to any host", FILE, { ...ENV, PERENNIAL_API_KEY: "env-key" }, FLAGS, "env-key"],
    ["the environment's to the file's host, over the file's", FILE, { PERENNIAL_API_KEY: "env-key" }, {}, "env-key"],
  ])("the key that is sent: %s", ([_what, yaml, vars, flags, key]) => {
    const { config, warnings } = load(yaml, { env: vars as Record<string, string>, flags });
    expect(config.upstreams[0]?.apiKey).toBe(key);
    expect(warnings).toHaveLength(key === undefined ? 1 : 0);
  });

  /** As configured, then as the client asks. */
  const LIMITS = [
    ["firstToken", "x-perennial-first-token-timeout", true, "500ms", 1],
    ["firstToken", "x-perennial-first-token-timeout", true, "500ms", 0],
    ["idle", "x-perennial-idle-timeout", true, "500ms", 1],
    ["idle", "x-perennial-idle-timeout", true, "500ms", 0],
    ["total", "x-perennial-total-timeout", true, "500ms", 1],
    ["total", "x-perennial-total-timeout", true, "500ms", 0],
    ["unstreamed", "x-perennial-total-timeout", false, "500ms", 1],
    ["unstreamed", "x-perennial-total-timeout", false, "500ms", 0],
  ] as const;

  test.for(LIMITS)(
    "timeouts.%s and %s (%s): the shorter one counts, and is the one that is to be raised",
    async ([name, header, stream, short, isOurs], { serve }) => {
      const [role = "", first = ""] = chatEvents(["Hello"]);
      const own = { firstToken: "10s", idle: "10s", total: "10s", unstreamed: "10s", [name]: isOurs ? short : "5s" };
      // The upstream's own, over that for all.
      const settings = { upstream: { timeouts: own }, timeouts: { [name]: "1ms" }, heartbeat: "off", ...ONCE };
      const { perennial } = await serve(open(...(name === "idle" ? [role, first] : [])), settings);
      const { body } = await chat(perennial.baseUrl, { stream }, { headers: { [header]: isOurs ? "5s" : short } });
      expect(body).toContain(`raise ${isOurs ? `timeouts.${name}` : header}`);
    },
  );

  test("a total that the client allows to be longer than the one for streams is still what ends its answer", async ({
    serve,
  }) => {
    const settings = { timeouts: { total: "500ms", unstreamed: "10s" }, ...ONCE };
    const { perennial } = await serve(open(), settings);
    const { body } = await chat(perennial.baseUrl, { stream: false }, { headers: { "x-perennial-total-timeout": "1s" } });
    expect(body).toContain("raise x-perennial-total-timeout, or stream");
  });
});
