/** The upstreams that are served: those that are configured, or the built-in sandbox where there is none. */
import type { Config, UpstreamConfig } from "./schema.ts";
import { upstreamSchema } from "./upstream-schema.ts";

/** Its address is known only once it listens. */
const SANDBOX: UpstreamConfig = upstreamSchema.parse({ name: "sandbox", baseUrl: "http://127.0.0.1/v1" });

/** In the order of preference. */
export function servedUpstreams({ upstreams: [first, ...others] }: Config): readonly [UpstreamConfig, ...UpstreamConfig[]] {
  return first === undefined ? [SANDBOX] : [first, ...others];
}

export function isSandboxed({ upstreams }: Config): boolean {
  return upstreams.length === 0;
}
