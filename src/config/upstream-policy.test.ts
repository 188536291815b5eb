import { expect, test } from "vitest";
import { configSchema } from "./schema.ts";
import { servedUpstreams } from "./served-upstreams.ts";
import { resolveConnectTimeout, resolveHealth, resolvePolicy } from "./upstream-policy.ts";

function policyOf(own: object = {}, forAll: object = {}) {
  const config = configSchema.parse({ upstreams: [{ baseUrl: "http://a", ...own }], ...forAll });
  const [upstream] = servedUpstreams(config);
  return {
    ...resolvePolicy(config, upstream),
    connect: resolveConnectTimeout(config, upstream),
    health: resolveHealth(config, upstream),
  };
}

const DEFAULTS = {
  timeouts: {
    ...{ queue: 30_000, firstToken: 180_000, idle: 120_000, alive: 600_000, total: 900_000, unstreamed: 3_600_000 },
    stream: false,
  },
  gate: { open: "content", toolCalls: "hold", holdFor: 60_000, lag: 0 },
  breaker: { failures: 5, windowMs: 30_000, restMs: 10_000, alone: false },
  ...{ nonStreaming: "direct", emptyFallback: "last", repairRawAnswer: false, requireDone: false, finish: "auto" },
  recovery: "error",
  resume: { proof: "auto", maxAttempts: 1, minChars: 40, tail: 24, tools: "refuse", structured: "refuse", background: false },
  ...{ continuation: "off", connect: 5_000, health: { every: false, path: "/models" } },
};

test("an upstream of which nothing is said is as the defaults say", () => {
  expect(policyOf()).toEqual(DEFAULTS);
});

/** A setting that may stand for all and for one, two values of it, and what each of them comes to. */
test.each<[path: string, forAll: unknown, own: unknown, resolved: string, [unknown, unknown]]>([
  ["timeouts.queue", "2s", "1s", "timeouts.queue", [2_000, 1_000]],
  ["timeouts.firstToken", "2s", "1s", "timeouts.firstToken", [2_000, 1_000]],
  ["timeouts.idle", "2s", "1s", "timeouts.idle", [2_000, 1_000]],
  ["timeouts.alive", "2s", "1s", "timeouts.alive", [2_000, 1_000]],
  ["timeouts.total", "2s", "1s", "timeouts.total", [2_000, 1_000]],
  ["timeouts.total", "2s", "1s", "timeouts.unstreamed", [8_000, 4_000]],
  ["timeouts.unstreamed", "2s", "1s", "timeouts.unstreamed", [2_000, 1_000]],
  ["timeouts.stream", "2s", "off", "timeouts.stream", [2_000, false]],
  ["timeouts.connect", "2s", "1s", "connect", [2_000, 1_000]],
  ["gate.open", "whole", "content", "gate.open", ["whole", "content"]],
  ["gate.toolCalls", "stream", "hold", "gate.toolCalls", ["stream", "hold"]],
  ["gate.holdFor", "2s", "1s", "gate.holdFor", [2_000, 1_000]],
  ["gate.lag", "2s", "1s", "gate.lag", [2_000, 1_000]],
  ["gate.lag", "2s", "off", "gate.lag", [2_000, 0]],
  ["nonStreaming", "viaStream", "direct", "nonStreaming", ["viaStream", "direct"]],
  ["recovery", "continue", "error", "recovery", ["continue", "error"]],
  ["resume.tail", 32, 16, "resume.tail", [32, 16]],
  ["resume.background", true, false, "resume.background", [true, false]],
  ["health.every", "2s", "off", "health.every", [2_000, false]],
  ["health.path", "/a", "/b", "health.path", ["/a", "/b"]],
])("%s is as for all, %j, unless the upstream has its own, %j (%s)", (path, forAll, own, resolved, [all, one]) => {
  const nest = (value: unknown) => path.split(".").reduceRight((inner, key) => ({ [key]: inner }), value) as object;
  const read = (policy: object) =>
    resolved.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], policy);
  const other = (policy: object) =>
    JSON.parse(JSON.stringify(policy, (key, value) => (key === resolved.split(".").at(-1) ? 0 : value)));
  expect([read(policyOf({}, nest(forAll))), read(policyOf(nest(own))), read(policyOf(nest(own), nest(forAll)))]).toEqual([
    all,
    one,
    one,
  ]);
  // And nothing else is, but for what stands beside a total or a silence.
  if (!/^timeouts\.(total|firstToken|idle)/.test(path)) expect(other(policyOf(nest(own)))).toEqual(other(DEFAULTS));
});

test("what may be silent for long may be as long without content", () => {
  expect(policyOf({ timeouts: { firstToken: "20m" } }).timeouts.alive).toBe(1_200_000);
  expect(policyOf({ timeouts: { idle: "30m" } }).timeouts.alive).toBe(1_800_000);
  expect(policyOf({}, { timeouts: { idle: "30m" } }).timeouts.alive).toBe(1_800_000);
});

test("a breaker that is asked for rests one upstream alone as well; off is none", () => {
  const breaker = { failures: 7, window: "1m", rest: "2s" };
  expect(policyOf({}, { breaker }).breaker).toEqual({ failures: 7, windowMs: 60_000, restMs: 2_000, alone: true });
  expect(policyOf({}, { breaker: "off" }).breaker).toBeUndefined();
});
