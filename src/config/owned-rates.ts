/** Every rate limit of a configuration, by whose it is. */
import type { OwnedPolicy } from "../balance/rate/rate-limiters.ts";
import { policyOf } from "./rate-settings.ts";
import type { Config } from "./schema.ts";

export function ownedRates({ upstreams, auth }: Config): readonly OwnedPolicy[] {
  return [
    ...upstreams.flatMap(({ name, rate }) =>
      rate === undefined ? [] : [{ scope: "upstream" as const, name, policy: policyOf(rate) }],
    ),
    ...auth.named.flatMap(({ name, rate }) => (rate === undefined ? [] : [{ scope: "key" as const, name, policy: rate }])),
  ];
}
