/** Which server this is, by its address, its headers, its pages and its models: the profile that fits it. */
import type { ProfileName } from "../config/profiles.ts";
import { isObject, objectsOf, parseObject } from "../dialect/json.ts";
import type { Facts, Fetched } from "./facts.ts";

/** Providers, by the host of the base URL. */
const HOSTS: readonly (readonly [RegExp, ProfileName])[] = [
  [/(^|\.)anthropic\.com$/, "anthropic"],
  [/\.openai\.azure\.com$|\.cognitiveservices\.azure\.com$/, "azure"],
  [/(^|\.)deepseek\.com$/, "deepseek"],
  [/(^|\.)openrouter\.ai$/, "openrouter"],
  [/(^|\.)openai\.com$/, "openai"],
];

/** Servers, by the owner that they give their models. */
const OWNERS: readonly (readonly [RegExp, ProfileName])[] = [
  [/^vllm$/i, "vllm"],
  [/^sglang$/i, "sglang"],
  [/^fastchat$/i, "fastchat"],
  [/^xinference$/i, "xinference"],
  [/^llama\.?cpp$/i, "llamacpp"],
  [/^organization_owner$/i, "lmstudio"],
  [/^library$/i, "ollama"],
  [/^deepseek$/i, "deepseek"],
];

export function identify({ upstream, models, modelsUnderV1, docs }: Facts): ProfileName | undefined {
  const { hostname } = new URL(upstream.baseUrl);
  const byHost = HOSTS.find(([host]) => host.test(hostname))?.[1];
  if (byHost !== undefined) return byHost;
  if (docs !== undefined && /<title>[^<]*chatchat/i.test(docs.body)) return "chatchat";
  const listed = modelsOf(models).length > 0 ? modelsOf(models) : modelsOf(modelsUnderV1);
  for (const { owned_by: owner, id } of listed) {
    if (typeof owner !== "string") continue;
    // ChatGLM3's demo writes the word of the example that it was copied from.
    if (owner === "owner" && /^chatglm3/i.test(String(id))) return "chatglm3";
    const found = OWNERS.find(([name]) => name.test(owner))?.[1];
    if (found !== undefined) return found;
  }
  return /llama\.cpp/i.test(String(models?.headers.server ?? "")) ? "llamacpp" : undefined;
}

/** The models of a list, as `{data: […]}` or `{models: […]}` have them. */
export function modelsOf(fetched: Fetched | undefined): readonly Record<string, unknown>[] {
  if (fetched?.status !== 200) return [];
  const json = parseObject(fetched.body);
  return objectsOf(json?.data ?? json?.models).filter(isObject);
}

/** The name of each, in the order of the list. */
export function modelNamesOf(fetched: Fetched | undefined): string[] {
  return modelsOf(fetched).flatMap(({ id, name }) => {
    const named = id ?? name;
    return typeof named === "string" ? [named] : [];
  });
}
