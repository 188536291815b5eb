/** Measures one upstream, from the nearest to the farthest, and stops where nothing can follow. */
import type { ProbeOptions } from "../call/probe.ts";
import { explainKeyShape } from "../config/key-shape.ts";
import { dialectAt } from "../config/routes.ts";
import type { Config, UpstreamConfig } from "../config/schema.ts";
import { resolveConnectTimeout, resolvePolicy } from "../config/upstream-policy.ts";
import { workerCount } from "../config/worker-settings.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import { fitToDescriptors, readDescriptorLimit } from "../server/file-descriptors.ts";
import { chooseProxy, type UpstreamProxy } from "../upstream/proxy.ts";
import { createUpstream, type Upstream } from "../upstream/upstream.ts";
import { ask, fetchSmall } from "./ask.ts";
import { askToContinue } from "./ask-to-continue.ts";
import { balancePath } from "./balance-path.ts";
import type { Asked, Facts, Fetched, MachineFacts, ProxyFacts } from "./facts.ts";
import { identify, modelNamesOf } from "./identify.ts";
import { lookAtCertificate, lookUp } from "./look-up.ts";

export interface ExamineOptions {
  readonly config: Config;
  readonly upstream: UpstreamConfig;
  /** Authorities of this upstream, as PEM. */
  readonly ca: string | undefined;
  /** The model to ask; undefined for the first on its list. */
  readonly model: string | undefined;
  /** For how long an answer may be silent, in milliseconds. */
  readonly patienceMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is wrong with the Node that runs this. */
  readonly nodeProblem: string | undefined;
}

/** Its answer is one character: cheap, and too short for servers that swallow short answers. */
const QUESTION = "1+1=?";
/** The list of models and the like, in milliseconds. */
const SMALL_MS = 10_000;

export async function examine(options: ExamineOptions, signal: AbortSignal): Promise<Facts> {
  const { config, upstream: configured, ca } = options;
  const url = new URL(configured.baseUrl);
  const connectMs = resolveConnectTimeout(config, configured);
  const { facts: proxyFacts, proxy } = findProxy(configured.baseUrl, options.env);
  const base = {
    upstream: upstreamFacts(options),
    machine: machineFacts(options),
    proxy: proxyFacts,
    address: proxyFacts.kind === "none" ? await lookUp(url, connectMs) : undefined,
    certificate:
      proxyFacts.kind === "none" && url.protocol === "https:" ? await lookAtCertificate(url, ca, connectMs) : undefined,
  };
  const nothing = { models: undefined, modelsUnderV1: undefined, docs: undefined, balance: undefined, model: options.model };
  if (proxyFacts.kind === "unusable" || base.address?.kind === "unknown") {
    return { ...base, ...nothing, streamed: undefined, unstreamed: undefined };
  }
  const upstream = openUpstream(options, proxy, connectMs);
  try {
    const listed = await lookAround(upstream, configured);
    const model = options.model ?? chooseModel(modelNamesOf(listed.models).length > 0 ? listed.models : listed.modelsUnderV1);
    const facts: Facts = { ...base, ...listed, model, streamed: undefined, unstreamed: undefined };
    if (listed.models.failure?.outage === "connection") return facts;
    return { ...facts, ...(await askBoth(upstream, facts, options, signal)) };
  } finally {
    await upstream.close();
  }
}

async function lookAround(upstream: Upstream, { baseUrl, apiKey }: UpstreamConfig) {
  const models = await fetchSmall(upstream, "/models", SMALL_MS);
  const isMissing = models.status === 404;
  const modelsUnderV1 = isMissing ? await fetchSmall(upstream, "/v1/models", SMALL_MS) : undefined;
  const docs = isMissing && new URL(baseUrl).pathname === "/" ? await fetchSmall(upstream, "/docs", SMALL_MS) : undefined;
  const path = apiKey === undefined || models.status === undefined ? undefined : balancePath(new URL(baseUrl).hostname);
  const balance: Fetched | undefined = path === undefined ? undefined : await fetchSmall(upstream, path, SMALL_MS);
  return { models, modelsUnderV1, docs, balance };
}

/** The first that can chat, as far as names tell. */
function chooseModel(list: Fetched | undefined): string | undefined {
  const names = modelNamesOf(list);
  return (
    names.find((name) => !/embed|bge-|rerank|whisper|tts|dall-e|image|moderation|audio|realtime|sora/i.test(name)) ?? names[0]
  );
}

async function askBoth(upstream: Upstream, facts: Facts, options: ExamineOptions, signal: AbortSignal) {
  const { config, upstream: configured } = options;
  const served = identify(facts) === "chatchat" ? ({ api: "chatchat", mount: "/" } as const) : configured;
  const question = (path: string, streamed: boolean): ProbeOptions => {
    const dialect = dialectAt(served, path) ?? openAiChat;
    const said = "query" in dialect.question.fields ? { query: QUESTION } : { messages: [{ role: "user", content: QUESTION }] };
    return {
      upstream,
      dialect,
      path,
      request: { ...said, ...(facts.model === undefined ? {} : { model: facts.model }) },
      streamed,
      timeoutMs: options.patienceMs,
      maxBytes: streamed ? config.limits.maxEventBytes : config.limits.maxBodyBytes,
      requireDone: configured.requireDone,
      terminatorFinishes: configured.finish === "done",
    };
  };
  let streamed: Asked | undefined;
  for (const path of pathsOf(facts, served.api)) {
    streamed = await ask(question(path, true), signal);
    if (streamed.recording.status !== 404) break;
  }
  // A refusal would be the same.
  const isRefused = streamed?.failure?.code === "upstream_status" && streamed.failure.scope !== "again";
  if (streamed === undefined || isRefused) return { streamed };
  const unstreamed = await ask(question(streamed.path, false), signal);
  if (streamed.failure !== undefined) return { streamed, unstreamed };
  return { streamed, unstreamed, continuation: await askToContinue(question(streamed.path, true), facts, configured) };
}

/** Where it is asked, the first that is there. */
function pathsOf({ upstream }: Facts, api: UpstreamConfig["api"]): readonly string[] {
  if (api === "chatchat") return ["/chat/chat", "/chat/chat/completions"];
  if (api === "anthropic" || new URL(upstream.baseUrl).hostname.endsWith("anthropic.com")) return ["/messages"];
  return api === "azure" ? ["/openai/v1/chat/completions", "/chat/completions"] : ["/chat/completions"];
}

function openUpstream({ upstream, ca }: ExamineOptions, proxy: UpstreamProxy | undefined, connectTimeoutMs: number): Upstream {
  const { name, baseUrl, apiKey, keyHeader, maxConnections, keepAlive: keepAliveMs } = upstream;
  const transport = { name, baseUrl, apiKey, keyHeader, maxConnections, keepAliveMs };
  return createUpstream({ ...transport, dropCredentials: false, connectTimeoutMs, ca, proxy });
}

function findProxy(baseUrl: string, env: ExamineOptions["env"]): { facts: ProxyFacts; proxy: UpstreamProxy | undefined } {
  try {
    const proxy = chooseProxy(baseUrl, env);
    if (proxy === undefined) return { facts: { kind: "none" }, proxy };
    return { facts: { kind: "used", variable: proxy.variable, host: proxy.url.host }, proxy };
  } catch (error) {
    return { facts: { kind: "unusable", problem: (error as Error).message }, proxy: undefined };
  }
}

function upstreamFacts({ config, upstream, patienceMs }: ExamineOptions): Facts["upstream"] {
  const { name, baseUrl, profile, apiKey } = upstream;
  const { requireDone, finish, nonStreaming, emptyFallback, timeouts, recovery } = resolvePolicy(config, upstream);
  return {
    name,
    baseUrl,
    profile,
    hasKey: apiKey !== undefined,
    keyProblem: apiKey === undefined ? undefined : explainKeyShape(baseUrl, apiKey),
    requireDone,
    finish,
    nonStreaming,
    emptyFallback,
    firstTokenMs: timeouts.firstToken,
    recovery,
    patienceMs,
  };
}

function machineFacts({ config, nodeProblem }: ExamineOptions): MachineFacts {
  const descriptors = readDescriptorLimit();
  const { warning } = fitToDescriptors(config.limits, descriptors, workerCount(config));
  return { nodeVersion: process.versions.node, nodeProblem, descriptors, descriptorProblem: warning };
}
