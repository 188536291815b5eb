import { expect, test } from "vitest";
import { applyProfile, listProfiles, PROFILE_NAMES, PROFILES, type Profile } from "./profiles.ts";
import { configSchema } from "./schema.ts";
import { servedUpstreams } from "./served-upstreams.ts";
import { resolvePolicy, resolveWarmUp } from "./upstream-policy.ts";

const withProfile = (profile: string, settings: object = {}, upstream: object = {}) =>
  configSchema.parse(applyProfile({ upstreams: [{ baseUrl: "http://a", profile, ...upstream }], ...settings }));

/** What holds for the upstream that has the profile. */
const policyWith = (profile: string, settings: object = {}, upstream: object = {}) => {
  const config = withProfile(profile, settings, upstream);
  return resolvePolicy(config, servedUpstreams(config)[0]);
};

test.each(PROFILE_NAMES)("%s makes a valid configuration, and every preset arrives in it", (name) => {
  const plain = withProfile("openai");
  const config = withProfile(name);
  const { presets }: Profile = PROFILES[name];
  const changed =
    JSON.stringify({ ...config, upstreams: [{ ...config.upstreams[0], profile: "openai" }] }) !== JSON.stringify(plain);
  expect(changed).toBe(presets.length > 0);
});

test("ChatGLM3 is asked whole at the next attempt, and Chatchat's paths have no /v1 before them", () => {
  expect(withProfile("chatglm3").upstreams[0]).toMatchObject({ emptyFallback: "next", keepAlive: 4_000 });
  expect(withProfile("chatchat").upstreams[0]).toMatchObject({ mount: "/", api: "chatchat" });
  expect(policyWith("chatchat").timeouts).toMatchObject({ firstToken: 300_000, idle: 120_000 });
});

test("DeepSeek may wait with comments for as long as it keeps a request", () => {
  expect(policyWith("deepseek").timeouts).toMatchObject({ firstToken: 180_000, alive: 1_800_000, total: 1_800_000 });
  expect(policyWith("deepseek", { timeouts: { alive: "7s" } }).timeouts).toMatchObject({ alive: 7_000, total: 1_800_000 });
});

test.each(PROFILE_NAMES)("no profile is less patient than the defaults (%s)", (name) => {
  const [times, defaults] = [policyWith(name).timeouts, policyWith("openai").timeouts];
  for (const clock of ["firstToken", "alive", "idle", "total", "unstreamed"] as const) {
    expect(times[clock]).toBeGreaterThanOrEqual(defaults[clock]);
  }
  expect(times.stream).toBe(false);
});

test.each([
  [{}, {}, { alive: 600_000, unstreamed: 3_600_000 }],
  [{ total: "1m" }, {}, { unstreamed: 240_000 }],
  [{ total: "20d" }, {}, { unstreamed: 2 ** 31 - 1 }],
  [{ total: "1m", unstreamed: "2m" }, { total: "5m" }, { total: 300_000, unstreamed: 1_200_000 }],
  [{ unstreamed: "2m" }, {}, { unstreamed: 120_000 }],
  [{ firstToken: "20m" }, {}, { alive: 1_200_000 }],
  [{}, { idle: "20m" }, { alive: 1_200_000 }],
  [{ alive: "1m" }, {}, { alive: 60_000 }],
  [{}, { alive: "1m" }, { alive: 60_000 }],
  [{ stream: "1h" }, {}, { stream: 3_600_000 }],
  [{ stream: "1h" }, { stream: "off" }, { stream: false }],
])("a clock that is not set is as patient as those that are: %j, upstream %j", (forAll, own, expected) => {
  expect(policyWith("openai", { timeouts: forAll }, { timeouts: own }).timeouts).toMatchObject(expected);
});

test("what is set by hand is stronger than the profile", () => {
  const settings = { timeouts: { firstToken: "7s" } };
  const config = withProfile("chatglm3", settings, { emptyFallback: "off", keepAlive: "9s" });
  expect(config.upstreams[0]).toMatchObject({ emptyFallback: "off", keepAlive: 9_000 });
  expect(policyWith("chatglm3", settings).timeouts).toMatchObject({ firstToken: 7_000, idle: 120_000 });
});

test("what is set for the upstream is stronger than what is set for all, and both than the profile", () => {
  const upstream = { timeouts: { firstToken: "8s" }, gate: { toolCalls: "stream" }, warmup: "off" };
  const config = withProfile("chatglm3", { timeouts: { firstToken: "7s", idle: "6s" }, warmup: { on: "idle" } }, upstream);
  const [served] = servedUpstreams(config);
  expect(resolvePolicy(config, served)).toMatchObject({
    timeouts: { firstToken: 8_000, idle: 6_000, total: 900_000 },
    gate: { toolCalls: "stream" },
    nonStreaming: "direct",
  });
  expect(resolveWarmUp(config, served)).toBe(false);
});

test("a profile presets its upstream alone", () => {
  const presets = applyProfile({
    upstreams: [
      { baseUrl: "http://a", name: "a", profile: "chatglm3" },
      { baseUrl: "http://b", name: "b" },
      { baseUrl: "http://c", name: "c", profile: "deepseek", timeouts: { idle: "9s" } },
    ],
  }) as { upstreams: object[]; timeouts?: unknown };
  expect(Object.keys(presets)).toEqual(["upstreams"]);
  expect(presets.upstreams).toMatchObject([
    { timeouts: { firstToken: "5m" }, warmup: { request: { model: "chatglm3-6b" } }, keepAlive: "4s" },
    {},
    { timeouts: { alive: "30m", idle: "9s", total: "30m" } },
  ]);
  expect(presets.upstreams[1]).toEqual({ baseUrl: "http://b", name: "b" });
  expect(withProfile("chatglm3").timeouts).toEqual(withProfile("openai").timeouts);
  expect(withProfile("chatglm3").warmup).toBe(false);
});

const MODEL = { request: { model: "chatglm3-6b" } };

test.each<[string, object, unknown]>([
  ["nothing at all", {}, { on: "start", after: 300_000, ...MODEL }],
  ["a warm-up that is off for all", { warmup: "off" }, false],
  ["a warm-up of its user's for all", { warmup: { on: "idle" } }, { on: "idle", after: 300_000, request: {} }],
])("with %s, ChatGLM3's first question is as it was when there was one warm-up for all", (_what, settings, expected) => {
  const config = withProfile("chatglm3", settings);
  expect(resolveWarmUp(config, servedUpstreams(config)[0])).toEqual(expected);
});

test("a section without a value, or of the wrong kind, is left for the schema to explain", () => {
  expect(policyWith("chatglm3", { timeouts: undefined }).timeouts.firstToken).toBe(300_000);
  expect(() => withProfile("chatglm3", { timeouts: "fast" })).toThrow();
  expect(() => withProfile("chatglm3", {}, { timeouts: "fast" })).toThrow();
  expect(applyProfile({ upstreams: "none" })).toEqual({ upstreams: "none" });
  expect(applyProfile(null)).toBeNull();
  const [unset] = [{ profile: "chatglm3", emptyFallback: null, timeouts: null }];
  expect(applyProfile({ upstreams: [unset], timeouts: null, gate: null })).toMatchObject({
    upstreams: [{ emptyFallback: "next", timeouts: { firstToken: "5m" } }],
  });
});

test("the list names every profile, and why it changes what it changes", () => {
  const text = listProfiles();
  for (const name of PROFILE_NAMES) expect(text).toContain(name);
  expect(text).toContain("    nothing: the defaults fit\n");
  expect(text).toMatch(/chatglm3.*emptyFallback: next\n\s+an answer of 7 characters/s);
});
