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
import type { DashboardView, HistoryView, StreamPageView, UpstreamView } from "../telemetry/history/view.ts";
import type { History, HistoryPart } from "../telemetry/history.ts";
import { type Backend, isReady, statesOf } from "./backend.ts";
import type { WorkerGroup } from "./worker-group.ts";

export interface Shown {
  readonly history: History;
  /** Undefined where prompts and answers are not to be shown. */
  readonly texts: Texts | undefined;
  readonly backend: Backend;
  readonly held: HeldMemory;
  readonly retries: RetryBudget;
  readonly rates: RateLimiters;
}

export type PartState = NamedUpstreamState & Pick<UpstreamView, "maxConnections">;

/** What is to be shown of one process. */
export interface DashboardPart extends Pick<DashboardView, "warm" | "heldBytes" | "retries"> {
  readonly history: HistoryPart;
  readonly states: readonly PartState[];
  readonly rates: readonly RateSnapshot[];
}

/** Of more a page would be no picture any more, and each of its seconds would be felt. */
const MAX_UPSTREAMS = 50;
const MAX_KEYS = 50;
const MAX_CAUSES = 200;

/** @param group where others serve beside this process: what they have to show is shown as well. */
export function createDashboard(config: Config, shown: Shown, group?: WorkerGroup): Dashboard {
  const { backend, history, texts, held, retries, rates } = shown;
  // With keys the sandbox wants one too, and the page holds none: its cookie opens nothing but the dashboard.
  const tryUrl = config.auth.keys.length === 0 ? backend.sandboxUrl : undefined;
  const viewOf = createView(config, { backend, texts, tryUrl });
  return {
    tryUrl,
    sessions: createSessions(config.auth.keys),
    find: (id) => (group === undefined ? findStream(shown, id) : group.findStream(id)),
    view() {
      if (group !== undefined) return viewOfAll(group, () => dashboardPart(config, shown)).then(viewOf);
      return viewOf({
        history: history.view(),
        states: partStates(config, backend),
        warm: isReady(config, backend),
        heldBytes: held.bytes,
        retries: retries.standing(config.retry.budget),
        rates: rates.snapshot(),
      });
    },
  };
}

export function findStream({ history, texts }: Shown, id: string): StreamPageView | undefined {
  const stream = history.find(id);
  return stream && texts ? { ...stream, texts: texts.find(id) } : stream;
}

export function dashboardPart(config: Config, { history, backend, held, retries, rates }: Shown): DashboardPart {
  return {
    history: history.part(),
    states: partStates(config, backend),
    warm: isReady(config, backend),
    heldBytes: held.bytes,
    retries: retries.standing(config.retry.budget),
    rates: rates.snapshot(),
  };
}

/** What is to be shown of all processes together. */
export type Summed = Omit<DashboardPart, "history"> & { readonly history: HistoryView };

/** Loaded only where there are several. */
async function viewOfAll(group: WorkerGroup, own: () => DashboardPart): Promise<Summed> {
  const [parts, { sumParts }] = await Promise.all([group.dashboardParts(), import("./sum-parts.ts")]);
  // None may have answered in time.
  return sumParts(parts.length === 0 ? [own()] : parts);
}

function partStates(config: Config, backend: Backend): readonly PartState[] {
  const served = servedUpstreams(config);
  return statesOf(config, backend).map((state, index) => ({ ...state, maxConnections: served[index]?.maxConnections }));
}

interface Told extends Pick<Shown, "backend" | "texts"> {
  readonly tryUrl: string | undefined;
}

function createView(config: Config, { backend, texts, tryUrl }: Told): (summed: Summed) => DashboardView {
  const describe = describeUpstreams(config);
  return ({ history, states, warm, heldBytes, retries, rates }) => {
    const shown = mostTelling(states);
    const { tallies, queues, causes, ...past } = history;
    const ofKeys = rates.filter(({ scope }) => scope === "key");
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
      warm,
      maxStreams: config.limits.maxStreams,
      heldBytes,
      upstreams: shown.map(describe),
      upstreamCount: states.length,
      retries,
      rates: [...rates.filter(({ scope, name }) => scope === "upstream" && isShown(name)), ...mostWaitedFor(ofKeys)],
      limitedKeyCount: ofKeys.length,
    };
  };
}

function mostWaitedFor(limits: readonly RateSnapshot[]): readonly RateSnapshot[] {
  return limits.length <= MAX_KEYS ? limits : limits.toSorted((a, b) => b.waiting - a.waiting).slice(0, MAX_KEYS);
}

function mostTelling(states: readonly PartState[]): readonly PartState[] {
  if (states.length <= MAX_UPSTREAMS) return states;
  const troubled = ({ rests, keys }: UpstreamState): boolean => rests.length > 0 || keys.some(({ rest }) => rest !== undefined);
  return [...states].sort((a, b) => Number(troubled(b)) - Number(troubled(a))).slice(0, MAX_UPSTREAMS);
}

/** What the configuration says of each is looked up once, and not at each second. */
function describeUpstreams(config: Config): (state: PartState) => UpstreamView {
  const all = servedUpstreams(config);
  const known = new Map(
    all.map((served) => {
      const { name, baseUrl, profile, api } = served;
      const { breaker } = resolvePolicy(config, served);
      const host = isSandboxed(config) ? "" : new URL(baseUrl).host;
      const canRest = breaker !== undefined && (breaker.alone || all.length > 1);
      return [name, { host, profile, api, canRest }] as const;
    }),
  );
  return ({ maxConnections, ...state }) => {
    const { canRest = false, ...fixed } = known.get(state.name) ?? { host: "", profile: undefined, api: "" };
    return { ...state, ...fixed, maxConnections, breaker: canRest ? breakerOf(state) : "off" };
  };
}

/** That of the part which is worst off. */
function breakerOf({ rests }: UpstreamState): "closed" | "open" | "half-open" {
  const resting = rests.filter(({ why }) => why === "breaker");
  if (resting.length === 0) return "closed";
  return resting.some(({ waitMs, isAsked }) => waitMs > 0 && !isAsked) ? "open" : "half-open";
}
