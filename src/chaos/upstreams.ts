/** The upstreams that play on one port: `/v1`, and `/a/v1`, `/b/v1`, … `/z/v1`, each with a life of its own. */
import { type Conversations, createConversations } from "./conversations.ts";
import { createPersonality, type PersonalityOptions } from "./create-personality.ts";
import type { Personality } from "./personality.ts";
import type { PersonalityName } from "./personality-name.ts";
import { createRandomFaults, type DrawFault } from "./random-faults.ts";

/** What one upstream remembers. */
export interface ChaosUpstream {
  /** A letter; undefined for the one without a name. */
  readonly name: string | undefined;
  readonly personality: Personality;
  readonly conversations: Conversations;
  readonly drawFault: DrawFault;
}

export interface ChaosUpstreamsOptions extends PersonalityOptions {
  readonly as: PersonalityName | undefined;
  readonly rate: number | Rates;
  readonly seed: number;
  /** Which one is asked where the path has no letter. @defaultValue the one without a name */
  readonly upstream?: string | undefined;
}

/** The share of its requests that each upstream breaks at random, 0 to 1, by its letter; others break none. */
export type Rates = Readonly<Record<string, number>>;

export interface ChaosUpstreams {
  /**
   * Whose path it is, and what that upstream is asked.
   * @param url with the query.
   */
  at(url: string): { readonly upstream: ChaosUpstream; readonly url: string };
}

/** No path of an API that is played begins with a single letter. */
const NAMED = /^\/([a-z])(?=$|[/?])/;

export function createChaosUpstreams({ as, rate, seed, upstream, ...options }: ChaosUpstreamsOptions): ChaosUpstreams {
  const upstreams = new Map<string | undefined, ChaosUpstream>();

  function find(name: string | undefined): ChaosUpstream {
    const known = upstreams.get(name);
    if (known !== undefined) return known;
    const begun: ChaosUpstream = {
      name,
      personality: createPersonality(as, options),
      conversations: createConversations(),
      // Two upstreams must not break the same requests: then nobody could be saved by asking the other.
      drawFault: createRandomFaults(rateOf(rate, name), seed + (name?.charCodeAt(0) ?? 0)),
    };
    upstreams.set(name, begun);
    return begun;
  }

  return {
    at(url) {
      const letter = NAMED.exec(url)?.[1];
      const rest = letter === undefined ? url : url.slice(2);
      return { upstream: find(letter ?? upstream), url: rest.startsWith("/") ? rest : `/${rest}` };
    },
  };
}

function rateOf(rate: number | Rates, name: string | undefined): number {
  return typeof rate === "number" ? rate : ((name === undefined ? undefined : rate[name]) ?? 0);
}
