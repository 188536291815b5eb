/** At start: whether a key of ours is refused, or its account empty, by two small GETs that cost nothing. */
import type { Config, UpstreamConfig } from "../config/schema.ts";
import { resolveConnectTimeout } from "../config/upstream-policy.ts";
import { chooseProxy } from "../upstream/proxy.ts";
import { createUpstream } from "../upstream/upstream.ts";
import { fetchSmall } from "./ask.ts";
import { balancePath } from "./balance-path.ts";
import { balanceOf } from "./checks/key.ts";

/** How long they may take, in milliseconds: nobody waits for them. */
const WITHIN_MS = 10_000;

export interface AccountOptions {
  readonly config: Config;
  readonly upstream: UpstreamConfig;
  readonly ca: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @returns what is wrong, in a sentence without the key; undefined where nothing is known to be. Never throws. */
export async function lookAtAccount({ config, upstream, ca, env }: AccountOptions): Promise<string | undefined> {
  const { name, baseUrl, apiKey, keyHeader } = upstream;
  if (apiKey === undefined) return undefined;
  try {
    const opened = createUpstream({
      name,
      baseUrl,
      apiKey,
      keyHeader,
      dropCredentials: false,
      maxConnections: 1,
      keepAliveMs: 1_000,
      connectTimeoutMs: resolveConnectTimeout(config, upstream),
      ca,
      proxy: chooseProxy(baseUrl, env),
    });
    try {
      const { status } = await fetchSmall(opened, "/models", WITHIN_MS);
      if (status === 401) return `the apiKey of upstream ${name} is refused (401): correct it, or keyHeader`;
      if (status === undefined) return undefined;
      const left = balanceOf(await fetchSmall(opened, balancePath(new URL(baseUrl).hostname), WITHIN_MS));
      if (left === undefined || left > 0) return undefined;
      return `the account of the apiKey of upstream ${name} is empty (balance ${left}): top it up at the provider`;
    } finally {
      await opened.close();
    }
  } catch {
    // A proxy that cannot be used has been refused before; the rest is told when a client asks.
    return undefined;
  }
}
