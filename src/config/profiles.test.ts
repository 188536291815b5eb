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
  expect(policyWith("chatchat").timeouts).toMatchObject({ idle: 120_000, total: 600_000 });
});

test("Anthropic may think and make tool inputs in silence, for minutes", () => {
  expect(withProfile("anthropic").upstreams[0]).toMatchObject({ keyHeader: "x-api-key" });
  expect(policyWith("anthropic").timeouts).toMatchObject({ firstToken: 600_000, idle: 300_000, total: 1_800_000 });
  expect(policyWith("anthropic", { timeouts: { idle: "7s" } }).timeouts).toMatchObject({ firstToken: 600_000, idle: 7_000 });
});

test("what is set by hand is stronger than the profile", () => {
  const settings = { timeouts: { firstToken: "7s" } };
  const config = withProfile("chatglm3", settings, { emptyFallback: "off", keepAlive: "9s" });
  expect(config.upstreams[0]).toMatchObject({ emptyFallback: "off", keepAlive: 9_000 });
  expect(policyWith("chatglm3", settings).timeouts).toMatchObject({ firstToken: 7_000, idle: 30_000 });
});

test("what is set for the upstream is stronger than what is set for all, and both than the profile", () => {
  const upstream = { timeouts: { firstToken: "8s" }, gate: { toolCalls: "stream" }, warmup: "off" };
  const config = withProfile("chatglm3", { timeouts: { firstToken: "7s", idle: "6s" }, warmup: { on: "idle" } }, upstream);
  const [served] = servedUpstreams(config);
  expect(resolvePolicy(config, served)).toMatchObject({
    timeouts: { firstToken: 8_000, idle: 6_000, total: 600_000 },
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
      { baseUrl: "http://c", name: "c", profile: "anthropic", timeouts: { idle: "9s" } },
    ],
  }) as { upstreams: object[]; timeouts?: unknown };
  expect(Object.keys(presets)).toEqual(["upstreams"]);
  expect(presets.upstreams).toMatchObject([
    { timeouts: { firstToken: "5m" }, warmup: { request: { model: "chatglm3-6b" } }, keepAlive: "4s" },
    {},
    { timeouts: { firstToken: "10m", idle: "9s", total: "30m" } },
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
});

test("the list names every profile, and why it changes what it changes", () => {
  const text = listProfiles();
  for (const name of PROFILE_NAMES) expect(text).toContain(name);
  expect(text).toMatch(/chatglm3.*emptyFallback: next\n\s+an answer of 7 characters/s);
});
