/** What the dashboard shows of one configuration: the history, and who is asked. */
import type { RateLimiters } from "../balance/rate/rate-limiters.ts";
import type { Config } from "../config/schema.ts";
import { isSandboxed, servedUpstreams } from "../config/served-upstreams.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { Dashboard } from "../server/dashboard/dashboard-routes.ts";
import { createSessions } from "../server/dashboard/sessions.ts";
import type { DashboardView, UpstreamView } from "../telemetry/history/view.ts";
import type { History } from "../telemetry/history.ts";
import { type Backend, isReady } from "./backend.ts";

export interface Shown {
  readonly history: History;
  readonly backend: Backend;
  readonly held: HeldMemory;
  readonly rates: RateLimiters;
}

export function createDashboard(config: Config, { history, backend, held, rates }: Shown): Dashboard {
  // With keys the sandbox wants one too, and the page holds none: its cookie opens nothing but the dashboard.
  const tryUrl = config.auth.keys.length === 0 ? backend.sandboxUrl : undefined;
  const upstreams = upstreamsOf(config);
  return {
    tryUrl,
    sessions: createSessions(config.auth.keys),
    find: history.find,
    view: (): DashboardView => ({
      ...history.view(),
      sandbox: backend.sandboxUrl !== undefined,
      canTry: tryUrl !== undefined,
      signedIn: config.auth.keys.length > 0,
      warm: isReady(config, backend),
      maxStreams: config.limits.maxStreams,
      heldBytes: held.bytes,
      upstreams,
      rates: rates.snapshot(),
    }),
  };
}

function upstreamsOf(config: Config): readonly UpstreamView[] {
  return servedUpstreams(config).map(({ name, baseUrl, profile, api, maxConnections }) => ({
    name,
    host: isSandboxed(config) ? "" : new URL(baseUrl).host,
    profile,
    api,
    maxConnections,
  }));
}
