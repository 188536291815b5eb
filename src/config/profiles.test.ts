import { expect, test } from "vitest";
import { applyProfile, listProfiles, PROFILE_NAMES, PROFILES, type Profile } from "./profiles.ts";
import { configSchema } from "./schema.ts";

const withProfile = (profile: string, settings: object = {}, upstream: object = {}) =>
  configSchema.parse(applyProfile({ upstreams: [{ baseUrl: "http://a", profile, ...upstream }], ...settings }));

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
  expect(withProfile("chatchat")).toMatchObject({ upstreams: [{ mount: "/" }], timeouts: { idle: 120_000, total: 600_000 } });
});

test("Anthropic may think and make tool inputs in silence, for minutes", () => {
  expect(withProfile("anthropic")).toMatchObject({
    upstreams: [{ keyHeader: "x-api-key" }],
    timeouts: { firstToken: 600_000, idle: 300_000, total: 1_800_000 },
  });
  expect(withProfile("anthropic", { timeouts: { idle: "7s" } }).timeouts).toMatchObject({ firstToken: 600_000, idle: 7_000 });
});

test("what is set by hand is stronger than the profile", () => {
  const config = withProfile("chatglm3", { timeouts: { firstToken: "7s" } }, { emptyFallback: "off", keepAlive: "9s" });
  expect(config).toMatchObject({
    timeouts: { firstToken: 7_000, idle: 30_000 },
    upstreams: [{ emptyFallback: "off", keepAlive: 9_000 }],
  });
});

test("a section without a value, or of the wrong kind, is left for the schema to explain", () => {
  expect(withProfile("chatglm3", { timeouts: undefined }).timeouts.firstToken).toBe(300_000);
  expect(() => withProfile("chatglm3", { timeouts: "fast" })).toThrow();
  expect(applyProfile({ upstreams: "none" })).toEqual({ upstreams: "none" });
  expect(applyProfile(null)).toBeNull();
});

test("the list names every profile, and why it changes what it changes", () => {
  const text = listProfiles();
  for (const name of PROFILE_NAMES) expect(text).toContain(name);
  expect(text).toMatch(/chatglm3.*emptyFallback: next\n\s+an answer of 7 characters/s);
});
