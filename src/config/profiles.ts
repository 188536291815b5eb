/** What is known of each kind of server, as settings with reasons. A profile is data: it can do nothing that a setting cannot. */

/** One setting that a profile changes. Whatever the user sets by hand is stronger. */
export interface Preset {
  /** As in the file; `upstream.x` is `x` of the upstream that has the profile. */
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
  key: "upstream.keepAlive",
  value: "4s",
  why: "its server (uvicorn) closes unused connections after 5 s",
};

function patient(why: string): Preset {
  return { key: "timeouts.firstToken", value: "5m", why };
}

export const PROFILES = {
  openai: { summary: "OpenAI, and whatever imitates it well", presets: [] },
  azure: {
    summary: "Azure OpenAI",
    presets: [{ key: "upstream.keyHeader", value: "api-key", why: "Azure takes its keys in a header of its own" }],
  },
  anthropic: {
    summary: "Anthropic's API, for clients of /v1/messages",
    presets: [
      { key: "upstream.keyHeader", value: "x-api-key", why: "Anthropic takes its keys in a header of its own" },
      {
        key: "timeouts.firstToken",
        value: "10m",
        why: "thoughts that are not shown are a silence with pings, until their signature comes",
      },
      { key: "timeouts.idle", value: "5m", why: "nothing but pings comes while a long tool input is made" },
      { key: "timeouts.total", value: "30m", why: "thoughts and a long answer take more than 10 minutes together" },
    ],
  },
  vllm: { summary: "vLLM's OpenAI server", presets: [UVICORN] },
  sglang: { summary: "SGLang's OpenAI server", presets: [UVICORN] },
  fastchat: { summary: "FastChat's openai_api_server", presets: [UVICORN] },
  xinference: {
    summary: "Xinference",
    presets: [UVICORN, patient("a model that is not in use is loaded at the first request")],
  },
  llamacpp: {
    summary: "llama.cpp's llama-server",
    presets: [
      { key: "upstream.keepAlive", value: "4s", why: "its server closes unused connections after 5 s" },
      patient("long prompts are slow on a CPU, and it works on at an abandoned one, so that a retry would wait behind it"),
    ],
  },
  ollama: { summary: "Ollama's /v1", presets: [patient("a model that is not in use is loaded at the first request")] },
  lmstudio: {
    summary: "LM Studio's local server",
    presets: [patient("a model that is not in use is loaded at the first request")],
  },
  deepseek: {
    summary: "DeepSeek's API",
    presets: [
      {
        key: "timeouts.firstToken",
        value: "10m",
        why: "under load it waits with comments (blank lines where nothing is streamed)",
      },
      { key: "timeouts.total", value: "30m", why: "it closes a request after 30 minutes, not before" },
    ],
  },
  openrouter: {
    summary: "OpenRouter",
    presets: [{ key: "timeouts.firstToken", value: "2m", why: "it waits with comments while it looks for a provider" }],
  },
  chatglm3: {
    summary: "ChatGLM3's openai_api_demo/api_server.py",
    presets: [
      UVICORN,
      {
        key: "upstream.emptyFallback",
        value: "next",
        why: "an answer of 7 characters or fewer is streamed as nothing at all, at every attempt; asked whole, it comes",
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
      { key: "upstream.mount", value: "/", why: "its API has no /v1 in front: /chat/chat goes to {baseUrl}/chat/chat" },
      { key: "upstream.emptyFallback", value: "off", why: "its own routes stream always" },
      patient("a knowledge base is searched before the model is asked"),
      { key: "timeouts.idle", value: "2m", why: "an agent is silent while its tools run" },
    ],
  },
} satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;

export const PROFILE_NAMES = Object.keys(PROFILES) as [ProfileName, ...ProfileName[]];

type Values = Record<string, unknown>;

/**
 * The settings with the upstream's profile beneath them: what is set stays, what is not is preset.
 * Values of the wrong shape are left for the schema to explain.
 */
export function applyProfile(values: unknown): unknown {
  if (!isValues(values) || !Array.isArray(values.upstreams) || !isValues(values.upstreams[0])) return values;
  const [upstream, ...others] = values.upstreams as [Values, ...unknown[]];
  if (typeof upstream.profile !== "string" || !Object.hasOwn(PROFILES, upstream.profile)) return values;
  const profile: Profile = PROFILES[upstream.profile as ProfileName];
  let result: Values = { ...values, upstreams: [upstream, ...others] };
  for (const { key, value } of profile.presets) {
    const [room = "", name] = key.split(".");
    if (room === "upstream" && name !== undefined) {
      const [first, ...rest] = result.upstreams as [Values, ...unknown[]];
      result = { ...result, upstreams: [{ [name]: value, ...withoutUnset(first) }, ...rest] };
    } else if (name === undefined) {
      result = { [room]: value, ...withoutUnset(result) };
    } else if (result[room] === undefined || result[room] === null || isValues(result[room])) {
      result = { ...result, [room]: { [name]: value, ...withoutUnset((result[room] ?? {}) as Values) } };
    }
  }
  return result;
}

/** A key without a value counts as not set. */
function withoutUnset(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
}

function isValues(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text of `perennial profiles`: what each changes, and why. */
export function listProfiles(): string {
  const blocks = Object.entries(PROFILES as Record<string, Profile>).map(([name, { summary, presets }]) => {
    const lines = presets.map(({ key, value, why }) => {
      const shown = typeof value === "object" ? JSON.stringify(value).replaceAll('"', "") : String(value);
      return `    ${key}: ${shown}\n        ${why}`;
    });
    return [`${name.padEnd(12)}${summary}`, ...(lines.length > 0 ? lines : ["    nothing: the defaults fit"])].join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}
