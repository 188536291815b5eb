/** What the dashboard shows of one configuration: the history, and how things stand with those that are asked. */
import type { RateLimiters } from "../balance/rate/rate-limiters.ts";
import type { RateSnapshot } from "../balance/rate/rate-policy.ts";
import type { RetryBudget } from "../balance/retry-budget.ts";
import type { Config } from "../config/schema.ts";
import { isSandboxed, servedUpstreams } from "../config/served-upstreams.ts";
import { resolvePolicy } from "../config/upstream-policy.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { NamedUpstreamState, UpstreamState } from "../core/upstream-state.ts";
import type { Dashboard } from "../server/dashboard/dashboard-routes.ts";
import { createSessions } from "../server/dashboard/sessions.ts";
import type { Texts } from "../telemetry/history/texts.ts";
import type { DashboardView, StreamPageView, UpstreamView } from "../telemetry/history/view.ts";
import type { History } from "../telemetry/history.ts";
import { type Backend, isReady, statesOf } from "./backend.ts";

export interface Shown {
  readonly history: History;
  /** Undefined where prompts and answers are not to be shown. */
  readonly texts: Texts | undefined;
  readonly backend: Backend;
  readonly held: HeldMemory;
  readonly retries: RetryBudget;
  readonly rates: RateLimiters;
}

/** Of more a page would be no picture any more, and each of its seconds would be felt. */
const MAX_UPSTREAMS = 50;
const MAX_KEYS = 50;
const MAX_CAUSES = 200;

export function createDashboard(config: Config, { history, texts, backend, held, retries, rates }: Shown): Dashboard {
  // With keys the sandbox wants one too, and the page holds none: its cookie opens nothing but the dashboard.
  const tryUrl = config.auth.keys.length === 0 ? backend.sandboxUrl : undefined;
  const describe = describeUpstreams(config);
  return {
    tryUrl,
    sessions: createSessions(config.auth.keys),
    find(id): StreamPageView | undefined {
      const stream = history.find(id);
      return stream && texts ? { ...stream, texts: texts.find(id) } : stream;
    },
    view(): DashboardView {
      const states = statesOf(config, backend);
      const shown = mostTelling(states);
      const { tallies, queues, causes, ...past } = history.view();
      const limits = rates.snapshot();
      const ofKeys = limits.filter(({ scope }) => scope === "key");
      const isShown = (name: string): boolean => shown.length === states.length || shown.some((state) => state.name === name);
      return {
        ...past,
        causes: causes.slice(0, MAX_CAUSES),
        tallies: tallies.filter(({ name }) => isShown(name)),
        queues: Object.fromEntries(Object.entries(queues).filter(([name]) => isShown(name))),
        sandbox: backend.sandboxUrl !== undefined,
        showsTexts: texts !== undefined,
        canTry: tryUrl !== undefined,
        signedIn: config.auth.keys.length > 0,
        warm: isReady(config, backend),
        maxStreams: config.limits.maxStreams,
        heldBytes: held.bytes,
        upstreams: shown.map(describe),
        upstreamCount: states.length,
        retries: retries.standing(config.retry.budget),
        rates: [...limits.filter(({ scope, name }) => scope === "upstream" && isShown(name)), ...mostWaitedFor(ofKeys)],
        limitedKeyCount: ofKeys.length,
      };
    },
  };
}

function mostWaitedFor(limits: readonly RateSnapshot[]): readonly RateSnapshot[] {
  return limits.length <= MAX_KEYS ? limits : limits.toSorted((a, b) => b.waiting - a.waiting).slice(0, MAX_KEYS);
}

function mostTelling(states: readonly NamedUpstreamState[]): readonly NamedUpstreamState[] {
  if (states.length <= MAX_UPSTREAMS) return states;
  const troubled = ({ rests, keys }: UpstreamState): boolean => rests.length > 0 || keys.some(({ rest }) => rest !== undefined);
  return [...states].sort((a, b) => Number(troubled(b)) - Number(troubled(a))).slice(0, MAX_UPSTREAMS);
}

/** What the configuration says of each is looked up once, and not at each second. */
function describeUpstreams(config: Config): (state: NamedUpstreamState) => UpstreamView {
  const all = servedUpstreams(config);
  const known = new Map(
    all.map((served) => {
      const { name, baseUrl, profile, api, maxConnections } = served;
      const { breaker } = resolvePolicy(config, served);
      const host = isSandboxed(config) ? "" : new URL(baseUrl).host;
      const canRest = breaker !== undefined && (breaker.alone || all.length > 1);
      return [name, { host, profile, api, maxConnections, canRest }] as const;
    }),
  );
  return (state) => {
    const { canRest = false, ...fixed } = known.get(state.name) ?? {
      host: "",
      profile: undefined,
      api: "",
      maxConnections: undefined,
    };
    return { ...state, ...fixed, breaker: canRest ? breakerOf(state) : "off" };
  };
}

/** That of the part which is worst off. */
function breakerOf({ rests }: UpstreamState): "closed" | "open" | "half-open" {
  const resting = rests.filter(({ why }) => why === "breaker");
  if (resting.length === 0) return "closed";
  return resting.some(({ waitMs, isAsked }) => waitMs > 0 && !isAsked) ? "open" : "half-open";
}
