import { expect, it } from "vitest";
import { parse } from "yaml";
import { printConfig } from "./print.ts";
import { printSettings } from "./print-settings.ts";
import { applyProfile } from "./profiles.ts";
import { configSchema } from "./schema.ts";

it("prints a configuration that loads again as the same one", () => {
  for (const input of [
    {},
    { heartbeat: "off", host: "::1", limits: { maxBodyBytes: 1001 }, retry: { backoff: { initial: 0 } } },
    { upstreams: [{ baseUrl: "http://a/v1", name: "1e3" }], open: true },
    {
      progress: true,
      upstreams: [
        { baseUrl: "http://a/v1", rate: { requests: "9/s", tokens: "5/d", wait: 0, models: { m: { concurrent: 1 } } } },
      ],
    },
  ]) {
    const config = configSchema.parse(input);
    expect(configSchema.parse(parse(printConfig(config)))).toEqual(config);
  }
});

it("prints whatever may be set, and loads it again as the same", () => {
  const own = {
    baseUrl: "http://a/v1",
    maxConnections: 3,
    keepAlive: "7s",
    timeouts: { firstToken: "7s", stream: "off" },
    recovery: "continue",
    resume: { tail: 30, background: true },
    gate: { open: "whole", toolCalls: "stream", holdFor: "9s", lag: "300ms" },
    health: { every: "20s", path: "/health" },
    warmup: { on: "start" },
    rate: { requests: "9/m", models: { m: { tokens: "100/s", concurrent: 2 } } },
  };
  for (const input of [
    { upstreams: [own], timeouts: { stream: "30m" }, health: { every: "1m" }, hedge: { after: "p95" }, breaker: "off" },
    { upstreams: [{ ...own, health: { every: "off" } }], hedge: { after: "800ms" }, breaker: { failures: 7, rest: "90s" } },
    {
      upstreams: [{ ...own, health: { path: "/up" }, gate: { lag: "off" } }],
      breaker: {},
      dashboard: { text: true },
    },
    { replay: { ttl: "7m", linger: "3s", maxStreamBytes: "5MiB", maxTotalBytes: 99, joinRetries: true }, dashboard: false },
    { record: { dir: "/captures", texts: true, maxFiles: 7, maxFileBytes: "5MiB" } },
    { store: "redis://localhost:6379/3", replay: {}, tls: { cert: "a", key: "b" }, cors: { origins: ["http://a"] } },
  ]) {
    const config = configSchema.parse(applyProfile(input));
    expect(configSchema.parse(applyProfile(parse(printConfig(config))))).toEqual(config);
  }
});

it("prints no more of an upstream than is its own", () => {
  const printed = parse(printConfig(configSchema.parse({ upstreams: [{ baseUrl: "http://a", name: "a" }] })));
  expect(Object.keys(printed.upstreams[0])).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/^(apiKeys?|timeouts|recovery|resume|gate|health|warmup|rate)$/)]),
  );
  expect(printed).not.toHaveProperty("breaker");
  const keys = parse(printConfig(configSchema.parse({ upstreams: [{ baseUrl: "http://a", apiKeys: ["sk-1", "sk-2"] }] })));
  expect(keys.upstreams[0]).toMatchObject({ apiKeys: ["********", "********"], maxConnections: "unlimited" });
});

it("reveals no password of the store, and prints its address", () => {
  const print = (store: string): string => parse(printConfig(configSchema.parse({ store }))).store.url;
  expect(print("redis://user:s3cret@h:1/2")).toBe("redis://user:********@h:1/2");
  expect(print("redis://h:1/2")).toBe("redis://h:1/2");
});

it("reveals nothing of a key, not even its length, and still loads", () => {
  const keys = ["sk-client-12345", "x"];
  const printed = printConfig(configSchema.parse({ upstreams: [{ baseUrl: "http://a", apiKey: "sk-abcdef" }], auth: { keys } }));
  expect(printed).not.toMatch(/sk-|12345|abcdef/);
  expect(parse(printed)).toMatchObject({ upstreams: [{ apiKey: "********" }], auth: { keys: ["********", "********"] } });
  expect(configSchema.safeParse(parse(printed)).success).toBe(true);
});

it("prints what a key may do, by its name", () => {
  const key = { key: "sk-1", name: "team", rate: { requests: "20/m" }, models: ["qwen*"], priority: 2 };
  const printed = printConfig(configSchema.parse({ auth: { keys: ["sk-2", key] } }));
  expect(printed).not.toContain("sk-");
  const { auth } = configSchema.parse(parse(printed));
  expect(auth.named).toMatchObject([
    { name: "team", models: ["qwen*"], priority: 2, rate: { requests: { amount: 20, perMs: 60_000 } } },
  ]);
});

it("prints durations and sizes as people write them", () => {
  const printed = printConfig(configSchema.parse({}));
  expect(printed).toContain("total: 15m");
  expect(printed).toContain("maxBodyBytes: 32MiB");
});

it("prints what a profile presets with its upstream, and loads again as the same", () => {
  for (const input of [
    { upstreams: [{ baseUrl: "http://a", profile: "chatglm3" }] },
    { upstreams: [{ baseUrl: "http://a", profile: "chatglm3" }], timeouts: { firstToken: "7s" }, warmup: "off" },
    {
      upstreams: [
        {
          baseUrl: "http://a",
          timeouts: { idle: "90s", stream: "off" },
          gate: { toolCalls: "stream", holdFor: "5s" },
          nonStreaming: "viaStream",
        },
      ],
    },
    { upstreams: [{ baseUrl: "http://a", profile: "chatchat", warmup: "off" }], warmup: { on: "idle" } },
    { upstreams: [{ baseUrl: "http://a", gate: { open: "whole", lag: "off" } }], gate: { lag: "400ms" } },
    { gate: { open: "whole" } },
  ]) {
    const config = configSchema.parse(applyProfile(input));
    expect(configSchema.parse(applyProfile(parse(printConfig(config))))).toEqual(config);
  }
  const printed = parse(
    printConfig(configSchema.parse(applyProfile({ upstreams: [{ baseUrl: "http://a", profile: "chatglm3" }] }))),
  );
  expect(printed).toMatchObject({
    upstreams: [{ timeouts: { firstToken: "5m" } }],
    timeouts: { firstToken: "3m", alive: "10m", unstreamed: "1h", stream: "off" },
    warmup: "off",
  });
});

it("prints settings to be pasted, each on a line of its own however long", () => {
  const url = `http://a/${"b ".repeat(60)}c`;
  expect(printSettings({ upstreams: [{ name: "a", baseUrl: url }], open: true })).toBe(
    `upstreams:\n  - name: a\n    baseUrl: ${url}\nopen: true\n`,
  );
});
