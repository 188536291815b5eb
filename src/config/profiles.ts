/** What is known of each kind of server, as settings with reasons. A profile is data: it can do nothing that a setting cannot. */
import type { ContinuationStyle } from "../core/continuing.ts";
import { isObject, type JsonObject } from "../dialect/json.ts";

/** One setting that a profile changes. Whatever the user sets by hand, for the upstream or for all, is stronger. */
export interface Preset {
  /** As in the file, of the upstream that has the profile; a dot leads into a section. */
  readonly key: string;
  readonly value: string | boolean | Readonly<Record<string, unknown>>;
  readonly why: string;
}

export interface Profile {
  readonly summary: string;
  readonly presets: readonly Preset[];
}

/** uvicorn closes an unused connection after 5 s, and a request that is sent at that moment fails. */
const UVICORN: Preset = {
  key: "keepAlive",
  value: "4s",
  why: "its server (uvicorn) closes unused connections after 5 s",
};

/** Longer than by default, for servers that send no sign of life before their first token. */
function patient(why: string, value = "5m"): Preset {
  return { key: "timeouts.firstToken", value, why };
}

function continued(value: ContinuationStyle, why: string): Preset {
  return { key: "continuation", value, why };
}

export const PROFILES = {
  openai: { summary: "OpenAI, and whatever imitates it well", presets: [] },
  azure: {
    summary: "Azure OpenAI",
    presets: [
      {
        key: "api",
        value: "azure",
        why: "its deployments have paths of their own, /openai/deployments/{name}/…, which are watched too",
      },
      { key: "keyHeader", value: "api-key", why: "Azure takes its keys in a header of its own" },
    ],
  },
  anthropic: {
    summary: "Anthropic's API, for clients of /v1/messages",
    presets: [
      { key: "api", value: "anthropic", why: "its API is Anthropic's; so far the same paths are watched as with openai" },
      { key: "keyHeader", value: "x-api-key", why: "Anthropic takes its keys in a header of its own" },
      continued("assistant", "models up to Claude 4.5 go on with the last message; later ones refuse, and are not asked"),
    ],
  },
  vllm: {
    summary: "vLLM's OpenAI server",
    presets: [UVICORN, continued("vllm", "it goes on with the last message when two flags say so; else it begins a new one")],
  },
  sglang: {
    summary: "SGLang's OpenAI server",
    presets: [
      UVICORN,
      continued("sglang", "it goes on with the last message when a flag says so; else it takes it for the user's"),
    ],
  },
  fastchat: { summary: "FastChat's openai_api_server", presets: [UVICORN] },
  xinference: {
    summary: "Xinference",
    presets: [UVICORN, patient("a model that is not in use is loaded at the first request")],
  },
  llamacpp: {
    summary: "llama.cpp's llama-server",
    presets: [
      { key: "keepAlive", value: "4s", why: "its server closes unused connections after 5 s" },
      patient(
        "long prompts take minutes on a CPU, in silence; it works on at an abandoned one, and a retry waits behind it",
        "10m",
      ),
      continued("llamacpp", "it keeps what it generates for a while, and goes on with the last message"),
    ],
  },
  ollama: {
    summary: "Ollama's /v1",
    presets: [
      patient("a model that is not in use is loaded at the first request"),
      continued("assistant", "with many of its models it goes on with the last message; the proof tells"),
    ],
  },
  lmstudio: {
    summary: "LM Studio's local server",
    presets: [
      patient("a model that is not in use is loaded at the first request"),
      continued("assistant", "it goes on with the last message; the proof tells"),
    ],
  },
  deepseek: {
    summary: "DeepSeek's API",
    presets: [
      {
        key: "timeouts.alive",
        value: "30m",
        why: "under load it waits with comments, and gives up after 30 minutes, not before",
      },
      { key: "timeouts.total", value: "30m", why: "it closes a request after 30 minutes, not before" },
      continued("prefix", "it goes on with a message that is marked as prefix; baseUrl must end in /beta"),
    ],
  },
  openrouter: {
    summary: "OpenRouter",
    presets: [
      continued("assistant", "it depends on the provider behind it whether that goes on"),
      {
        key: "resume.proof",
        value: "answer",
        why: "another provider may answer each time, so that only the answer proves itself",
      },
    ],
  },
  chatglm3: {
    summary: "ChatGLM3's openai_api_demo/api_server.py",
    presets: [
      UVICORN,
      {
        key: "emptyFallback",
        value: "next",
        why: "an answer of 7 characters or fewer is streamed as nothing at all, at every attempt; asked whole, it comes",
      },
      {
        key: "repairRawAnswer",
        value: true,
        why: "where its answer says get_, the rest comes as one raw line that repeats the whole answer, without a finish",
      },
      patient("the first request after its start is slow, and blocks all others"),
      {
        key: "warmup",
        value: { on: "start", request: { model: "chatglm3-6b" } },
        why: "the first request after its start is slow; Perennial asks it before a user does",
      },
    ],
  },
  chatchat: {
    summary: "Langchain-Chatchat's API server, 0.2.10 and 0.3.x; baseUrl without /v1, and all of its paths are served",
    presets: [
      UVICORN,
      { key: "api", value: "chatchat", why: "its own routes are watched, each in its own way of streaming" },
      { key: "mount", value: "/", why: "its API has no /v1 in front: /chat/chat goes to {baseUrl}/chat/chat" },
      { key: "emptyFallback", value: "off", why: "its own routes stream always" },
      patient("a knowledge base is searched before the model is asked"),
    ],
  },
} satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;

export const PROFILE_NAMES = Object.keys(PROFILES) as [ProfileName, ...ProfileName[]];

/** How servers of this kind are asked to go on with an answer; `off` where nothing is known that would help. */
export function continuationOf(profile: ProfileName): ContinuationStyle | "off" {
  const { presets }: Profile = PROFILES[profile];
  return (presets.find(({ key }) => key === "continuation")?.value as ContinuationStyle | undefined) ?? "off";
}

/**
 * The settings with each upstream's profile beneath them: what is set stays, what is not is preset, for that upstream alone.
 * Values of the wrong shape are left for the schema to explain.
 */
export function applyProfile(values: unknown): unknown {
  if (!isObject(values) || !Array.isArray(values.upstreams)) return values;
  return { ...values, upstreams: values.upstreams.map((upstream: unknown) => preset(upstream, withoutUnset(values))) };
}

function preset(upstream: unknown, forAll: JsonObject): unknown {
  if (!isObject(upstream) || typeof upstream.profile !== "string" || !Object.hasOwn(PROFILES, upstream.profile)) return upstream;
  const { presets }: Profile = PROFILES[upstream.profile as ProfileName];
  return presets.reduce((own, { key, value }) => presetOne(own, forAll, key.split("."), value), withoutUnset(upstream));
}

/** A value that its user wrote for all upstreams is set by hand too: the preset would stand over it. */
function presetOne(own: JsonObject, forAll: JsonObject, [key = "", ...rest]: readonly string[], value: unknown): JsonObject {
  const ownValue = own[key];
  if (rest.length === 0) return ownValue === undefined && forAll[key] === undefined ? { ...own, [key]: value } : own;
  const [section, sectionForAll] = [ownValue ?? {}, forAll[key] ?? {}];
  if (!isObject(section) || !isObject(sectionForAll)) return own;
  return { ...own, [key]: presetOne(withoutUnset(section), withoutUnset(sectionForAll), rest, value) };
}

/** A key without a value counts as not set. */
function withoutUnset(values: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
}

const LIST_HEAD =
  "What each profile presets, for its own upstream alone. What you set, for that upstream or for all, is stronger.";

/** The text of `perennial profiles`: what each changes, and why. */
export function listProfiles(): string {
  const blocks = Object.entries(PROFILES as Record<string, Profile>).map(([name, { summary, presets }]) => {
    const lines = presets.map(({ key, value, why }) => {
      const shown = JSON.stringify(value).replaceAll('"', "");
      return `    ${key}: ${shown}\n        ${why}`;
    });
    return [`${name.padEnd(12)}${summary}`, ...(lines.length > 0 ? lines : ["    nothing: the defaults fit"])].join("\n");
  });
  return `${LIST_HEAD}\n\n${blocks.join("\n\n")}\n`;
}
