import { expect, it } from "vitest";
import { judge } from "./checks.ts";
import type { Facts, Fetched, Recording } from "./facts.ts";
import { identify } from "./identify.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const DAY = 86_400_000;

const list = (owner: string, id = "m"): Fetched => ({
  path: "/models",
  status: 200,
  headers: { date: new Date(NOW).toUTCString() },
  body: JSON.stringify({ data: [{ id, owned_by: owner }] }),
  failure: undefined,
  at: NOW,
});

const healthy: Facts = {
  upstream: {
    name: "main",
    baseUrl: "https://server.example/v1",
    profile: "openai",
    hasKey: true,
    keyProblem: undefined,
    requireDone: false,
    finish: "auto",
    nonStreaming: "direct",
    emptyFallback: "last",
    firstTokenMs: 180_000,
    recovery: "error",
    patienceMs: 60_000,
  },
  machine: { nodeVersion: "24.0.0", nodeProblem: undefined, descriptors: 20_000, descriptorProblem: undefined },
  proxy: { kind: "none" },
  address: { kind: "found", addresses: ["192.0.2.1"], connectMs: 3 },
  certificate: { issuer: "An Authority", validTo: NOW + 90 * DAY, now: NOW, distrust: undefined },
  models: list("me"),
  modelsUnderV1: undefined,
  docs: undefined,
  balance: undefined,
  model: "m",
  streamed: undefined,
  unstreamed: undefined,
};

const whole: Recording = {
  status: 200,
  headers: { "content-type": "text/event-stream; charset=utf-8" },
  headMs: 5,
  firstByteMs: 5,
  durationMs: 9,
  bytes: 80,
  start: 'data: {"choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  tail: "data: [DONE]\n\n",
  end: "closed",
};
const streamed = (more: Partial<Recording>): Partial<Facts> => ({
  streamed: { path: "/chat/completions", failure: undefined, recording: { ...whole, ...more } },
});
const certificate = (more: object): Partial<Facts> => ({
  certificate: { issuer: "An Authority", validTo: NOW + 90 * DAY, now: NOW, distrust: undefined, ...more },
});
const at = (ms: number): Partial<Facts> => ({ models: { ...list("me"), at: NOW + ms } });

it.each<[what: string, facts: Partial<Facts>, verdict: string[]]>([
  ["health", { ...streamed({}) }, []],
  ["a certificate that ends in 13 days", certificate({ validTo: NOW + 13 * DAY }), ["tls note"]],
  ["a certificate that has ended", certificate({ validTo: NOW - DAY }), ["tls fault"]],
  ["a certificate signed by itself", certificate({ distrust: "DEPTH_ZERO_SELF_SIGNED_CERT" }), ["tls fault"]],
  ["a chain without its middle", certificate({ distrust: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }), ["tls fault"]],
  ["a reason that is new", certificate({ distrust: "SOMETHING" }), ["tls fault"]],
  ["a clock two minutes ahead", at(120_000), ["clock note"]],
  ["a clock an hour behind", at(-3_600_000), ["clock note"]],
  ["a clock half a minute ahead", at(30_000), []],
  ["an old Node", { machine: { ...healthy.machine, nodeProblem: "too old" } }, ["node fault"]],
  ["few descriptors", { machine: { ...healthy.machine, descriptorProblem: "few" } }, ["descriptors note"]],
  ["a proxy", { proxy: { kind: "used", variable: "HTTPS_PROXY", host: "p:1" } }, ["proxy note"]],
  ["a model that is not listed", { model: "other" }, ["models note"]],
  ["no list of models", { models: { ...list("me"), status: 404, body: "" } }, ["models note"]],
  ["a key of the wrong shape", { upstream: { ...healthy.upstream, keyProblem: "is a placeholder" } }, ["keyShape note"]],
  ["no terminator", streamed({ start: '"finish_reason":"stop"', tail: "" }), ["ending note"]],
  ["a body left open", streamed({ end: "open" }), ["ending note"]],
  ["a connection that breaks behind the end", streamed({ end: "broken" }), ["ending note"]],
  ["a stream labelled JSON", streamed({ headers: { "content-type": "application/json" } }), ["label note"]],
  ["a stream without a label", streamed({ headers: {} }), ["label note"]],
  ["a compressed stream", streamed({ headers: { "content-encoding": "br" } }), ["label note"]],
  ["JSON for a stream", streamed({ start: '{"choices":[]}', tail: "" }), ["ending note"]],
  ["a first token after 100 s of 180", streamed({ firstByteMs: 100_000 }), ["firstToken note"]],
  ["message_stop for [DONE]", streamed({ start: '"stop_reason":"end_turn"', tail: "event: message_stop" }), []],
])("judges %s", (_what, facts, verdict) => {
  const found = judge({ ...healthy, ...facts }).filter(({ mark }) => mark !== "ok");
  expect(found.map(({ check, mark }) => `${check} ${mark}`)).toEqual(verdict);
});

it("proposes a limit of four times the first token that it saw, in whole minutes", () => {
  const [slow] = judge({ ...healthy, ...streamed({ firstByteMs: 100_000 }) }).filter(({ settings }) => settings !== undefined);
  expect(slow?.settings).toEqual({ timeouts: { firstToken: "7m" } });
});

it.each<[owner: string, id: string, baseUrl: string, profile: string | undefined]>([
  ["vllm", "m", "http://127.0.0.1/v1", "vllm"],
  ["sglang", "m", "http://127.0.0.1/v1", "sglang"],
  ["fastchat", "m", "http://127.0.0.1/v1", "fastchat"],
  ["xinference", "m", "http://127.0.0.1/v1", "xinference"],
  ["llamacpp", "m", "http://127.0.0.1/v1", "llamacpp"],
  ["library", "m", "http://127.0.0.1/v1", "ollama"],
  ["organization_owner", "m", "http://127.0.0.1/v1", "lmstudio"],
  ["owner", "chatglm3-6b", "http://127.0.0.1/v1", "chatglm3"],
  ["owner", "another", "http://127.0.0.1/v1", undefined],
  ["deepseek", "m", "https://api.deepseek.com/v1", "deepseek"],
  ["system", "m", "https://api.openai.com/v1", "openai"],
  ["x", "m", "https://openrouter.ai/api/v1", "openrouter"],
  ["x", "m", "https://api.anthropic.com/v1", "anthropic"],
  ["x", "m", "https://my.openai.azure.com/openai/v1", "azure"],
  ["x", "m", "https://vllm.example/v1", undefined],
])("knows a server by the owner %s of %s, or by its address %s", (owner, id, baseUrl, profile) => {
  expect(identify({ ...healthy, upstream: { ...healthy.upstream, baseUrl }, models: list(owner, id) })).toBe(profile);
});
