/** Takes a picture of how things stand with an upstream, for those who watch. */
import type { HealthState, KeyState, Rest, UpstreamState } from "../core/upstream-state.ts";
import type { UpstreamShared } from "./candidate.ts";

/** Nobody reads more, and clients can make any number. */
const MAX_RESTS = 20;
const MAX_NAME_LENGTH = 200;

/** @param apiKeys those of ours that it is asked with. */
export function stateOf(
  { open, outages, credential }: UpstreamShared,
  apiKeys: readonly string[],
  health: HealthState | undefined,
): UpstreamState {
  const rests: Rest[] = [];
  const counts = { outage: 0, breaker: 0 };
  for (const [part, { failure, rests: isBreaker, ...standing }] of outages.recent()) {
    const why = isBreaker ? "breaker" : "outage";
    counts[why]++;
    if (rests.length === MAX_RESTS) continue;
    const { code, status } = failure;
    rests.push({
      part: part === undefined ? undefined : nameOf(part),
      why,
      failure: code,
      status: code === "upstream_status" ? status : undefined,
      lastedMs: Math.round(standing.lastedMs),
      waitMs: Math.round(standing.waitMs),
      isAsked: standing.isAsking,
      waiting: standing.waiting,
    });
  }
  const keys = apiKeys.map((apiKey, index): KeyState => ({ number: index + 1, rest: credential(apiKey).rests }));
  return { open: open.count, rests, counts, keys, health };
}

/** A path may have a secret in its query. A copy: a part of a long text would keep all of it in memory. */
function nameOf(part: string): string {
  const [plain = ""] = part.startsWith("/") ? part.split("?", 1) : [part];
  return plain.length <= MAX_NAME_LENGTH ? plain : Buffer.from(plain.slice(0, MAX_NAME_LENGTH)).toString();
}
