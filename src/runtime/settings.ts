/** What the server and the relay go by, made of a configuration and of what it has opened. */
import type { Hedging } from "../balance/hedging.ts";
import type { RateLimiters } from "../balance/rate/rate-limiters.ts";
import type { RetryBudget } from "../balance/retry-budget.ts";
import type { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import { uniteRoutes } from "../config/routes.ts";
import type { Config } from "../config/schema.ts";
import { servedUpstreams } from "../config/served-upstreams.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { StreamStore } from "../run/stream-store.ts";
import { createKeyCheck } from "../server/client-keys.ts";
import type { ServerSettings } from "../server/create-server.ts";
import { combineObservers, combinePropagators } from "../telemetry/combine-observers.ts";
import { type Backend, isReady, offersOf } from "./backend.ts";
import { createDashboard, dashboardPart, findStream } from "./dashboard.ts";
import { metricsFor, type Telemetry } from "./telemetry.ts";
import type { WorkerAnswers, WorkerGroup } from "./worker-group.ts";

/** What outlives a configuration, and what was opened for this one. */
export interface Parts {
  readonly backend: Backend;
  readonly telemetry: Telemetry;
  readonly kept: StreamStore;
  readonly held: HeldMemory;
  readonly sticky: StickyUpstreams;
  readonly retries: RetryBudget;
  readonly hedging: Hedging;
  readonly rates: RateLimiters;
  /** Where others serve beside this process. */
  readonly group?: WorkerGroup | undefined;
}

/** What the server goes by, and what this process says of itself where others serve beside it. */
export interface MadeSettings {
  readonly settings: ServerSettings;
  readonly answers: WorkerAnswers;
}

export async function createSettings(
  config: Config,
  { backend, telemetry, kept, held, sticky, retries, hedging, rates, group }: Parts,
): Promise<MadeSettings> {
  const { auth, retry, failover, hedge, limits, interruptEnd, heartbeat, progress, replay } = config;
  const metrics = await metricsFor(config, telemetry);
  const history = config.dashboard ? await telemetry.history() : undefined;
  const texts = await telemetry.texts(config.dashboard !== false && config.dashboard.text);
  const shown = history && { history, texts, backend, held, retries, rates };
  const { mount, bare, routes } = uniteRoutes(servedUpstreams(config));
  const isWarm = (): boolean => isReady(config, backend);
  const settings: ServerSettings = {
    mount,
    basePath: new URL(servedUpstreams(config)[0].baseUrl).pathname,
    bare,
    routes,
    keyOf: createKeyCheck(auth.keys, auth.named),
    localOnly: auth.keys.length === 0 && !config.open,
    corsOrigins: config.cors.origins,
    isWarm: () => (group === undefined ? isWarm() : group.isReady()),
    metrics: metrics && {
      read: () => (group === undefined ? metrics.read() : group.readMetrics()),
      public: config.metrics.public,
    },
    dashboard: shown && createDashboard(config, shown, group),
    relay: {
      offers: offersOf(config, backend, rates),
      keyLimiterOf: ({ name }) => rates.find({ scope: "key", name }),
      failover: { on: new Set(failover.on), codes: new Set(failover.codes) },
      retry,
      hedge,
      limits,
      client: { interruptEnd, heartbeat, progress },
      replay: replay || undefined,
    },
    context: {
      kept,
      held,
      sticky,
      retries,
      hedging,
      texts,
      record: await telemetry.recorder(config, held),
      observer: combineObservers(
        [...telemetry.observers, metrics?.observer, history?.observer, ...backend.observers],
        telemetry.onDefect,
      ),
      propagator: combinePropagators(telemetry.propagators, telemetry.onDefect),
    },
  };
  const answers: WorkerAnswers = {
    isReady: isWarm,
    metrics: async () => (await metrics?.collect()) ?? [],
    dashboardPart: () => shown && dashboardPart(config, shown),
    findStream: (id) => shown && findStream(shown, id),
  };
  return { settings, answers };
}
