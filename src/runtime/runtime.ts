/** Everything that serves requests, but for the listening: what a server, a plugin, a check of the upstreams and a test share. */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { Hedging } from "../balance/hedging.ts";
import { RateLimiters } from "../balance/rate/rate-limiters.ts";
import { RetryBudget } from "../balance/retry-budget.ts";
import { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import { ConfigError } from "../config/config-error.ts";
import { ownedRates } from "../config/owned-rates.ts";
import { type PemFiles, readPemFiles } from "../config/pem-files.ts";
import { prepareRecordFolder } from "../config/record-settings.ts";
import { changedSettings, refuseReload, settingsForRestart } from "../config/reload-rules.ts";
import type { StoreConfig } from "../config/replay-settings.ts";
import type { Config } from "../config/schema.ts";
import { HeldMemory } from "../core/held-memory.ts";
import type { NamedUpstreamState } from "../core/upstream-state.ts";
import { KeptStreams } from "../run/kept-streams.ts";
import type { Successor } from "../run/takeover.ts";
import type { ServerSettings } from "../server/create-server.ts";
import { OpenExchanges } from "../server/open-exchanges.ts";
import { createSuccessor } from "../server/successor.ts";
import type { RedisStore } from "../store/redis-store.ts";
import { createStoreLog } from "../telemetry/store-log.ts";
import { type Backend, openBackend, planBackend, statesOf } from "./backend.ts";
import { createSettings, type MadeSettings } from "./settings.ts";
import { openTelemetry } from "./telemetry.ts";
import type { WorkerAnswers, WorkerGroup } from "./worker-group.ts";

export interface Runtime {
  readonly open: OpenExchanges;
  /** What is in force now. A request keeps what it began with. */
  current(): InForce;
  /**
   * New requests are served with this configuration; those that run keep the one they began with.
   * @throws ConfigError when it must not take the place of the old one, which then stays.
   */
  reload(config: Config): Promise<Reloaded>;
  /**
   * The same in two steps, for several processes of which all take it or none. The caller lets no other reload begin in between.
   * @throws ConfigError
   */
  prepare(config: Config): Promise<PreparedReload>;
  /** Lets what runs come to its end, for `drain.timeout` at most; nothing may begin any more. */
  drain(): Promise<void>;
  /** After the drain: closes every connection to an upstream, also those of earlier configurations. */
  close(): Promise<void>;
}

/** One configuration, and what was made of it. */
export interface InForce {
  readonly config: Config;
  readonly pem: PemFiles;
  readonly backend: Backend;
  readonly settings: ServerSettings;
  /** What this process says of itself, where others serve beside it. */
  readonly answers: WorkerAnswers;
}

/** A new configuration that could be taken, and was not yet. */
export interface PreparedReload {
  commit(): Promise<Reloaded>;
  cancel(): Promise<void>;
}

/** What a new configuration changed, as names of settings at the top level. */
export interface Reloaded {
  readonly changed: readonly string[];
  /** Settings that differ from those the program was started with, and have no effect until the next start. */
  readonly needsRestart: readonly string[];
}

/** How long a collector of traces may take for the last of them, in milliseconds: it must not keep the program from ending. */
const LAST_TRACES_MS = 2_000;

/**
 * @param group where others serve beside this process; undefined where it serves alone.
 * @throws ConfigError when a file, or a proxy, that is named cannot be used.
 */
export async function openRuntime(started: Config, logger: Logger, group?: WorkerGroup): Promise<Runtime> {
  prepareRecordFolder(started.record);
  const open = new OpenExchanges(started.limits.maxStreams, started.auth.maxStreamsPerKey, group?.places);
  const pem = readPemFiles(started);
  const held = new HeldMemory(started.limits.maxHeldBytes);
  const kept = new KeptStreams(held);
  const store =
    started.store === false
      ? undefined
      : await openStore(
          started.store,
          { local: kept, ca: pem.store, successor: createSuccessor(open, () => inForce.settings) },
          logger,
        );
  const sticky = new StickyUpstreams(group?.makers);
  const retries = new RetryBudget();
  const hedging = new Hedging();
  const rates = new RateLimiters(store?.rates ?? group?.rates);
  const upstreams = (): readonly NamedUpstreamState[] => statesOf(inForce.config, inForce.backend);
  const telemetry = await openTelemetry(logger, { open, held, kept, upstreams, isStoreUp: () => store?.isUp }, group);
  const settingsOf = (config: Config, backend: Backend): Promise<MadeSettings> => {
    // Those that wait now are let in by the new limits as well: they are the upstream's, and not of one request.
    rates.configure(ownedRates(config));
    const own = { backend, telemetry, kept: store ?? kept, held, sticky, retries, hedging, rates };
    return createSettings(config, { ...own, group });
  };
  const backend = await openBackend(started, pem, logger);
  let inForce: InForce = { config: started, pem, backend, ...(await settingsOf(started, backend)) };
  group?.answerWith(() => inForce.answers);
  let lastReload: Promise<unknown> = Promise.resolve();
  const retire = createRetirement(open);

  async function prepare(next: Config): Promise<PreparedReload> {
    if (open.draining) throw new ConfigError(["Perennial is shutting down"]);
    const old = inForce;
    refuseReload(started.host, old.config, next);
    const pem = readPemFiles(next);
    prepareRecordFolder(next.record);
    const isKept = isDeepStrictEqual(old.backend.plan, planBackend(next, pem));
    const backend = isKept ? old.backend : await openBackend(next, pem, logger);
    return {
      async commit() {
        inForce = { config: next, pem, backend, ...(await settingsOf(next, backend)) };
        open.max = next.limits.maxStreams;
        held.maxBytes = next.limits.maxHeldBytes;
        open.maxPerKey = next.auth.maxStreamsPerKey;
        if (next.replay === false) kept.clear();
        if (next.log.level !== old.config.log.level) logger.level = next.log.level;
        if (!isKept) retire.add(old.backend);
        return {
          changed: [...changedSettings(old.config, next), ...(isDeepStrictEqual(old.pem, pem) ? [] : ["certificates"])],
          needsRestart: settingsForRestart(started, next),
        };
      },
      async cancel() {
        if (!isKept) await backend.close();
      },
    };
  }

  return {
    open,
    current: () => inForce,
    reload(next) {
      // One after the other: two signals at once must not open two backends and forget one.
      const turn = lastReload.then(async () => (await prepare(next)).commit());
      lastReload = turn.catch(() => {});
      return turn;
    },
    prepare,
    drain() {
      inForce.backend.stopWarmUps();
      kept.drain();
      return open.drain(started.drain.timeout);
    },
    async close() {
      await lastReload;
      await Promise.all([inForce.backend.close(), retire.settled()]);
      await store?.close();
      await Promise.race([telemetry.close(), sleep(LAST_TRACES_MS, undefined, { ref: false })]);
    },
  };
}

/** Loaded only where it is wanted. Without the server answers are kept here alone, and nothing fails for that. */
async function openStore(
  { url, prefix, takeover }: StoreConfig,
  { local, ca, successor }: { readonly local: KeptStreams; readonly ca: string | undefined; readonly successor: Successor },
  logger: Logger,
): Promise<RedisStore> {
  const { RedisStore } = await import("../store/redis-store.ts");
  const store = new RedisStore({ url, prefix, ca, local, ...(takeover && { successor }), ...createStoreLog(logger) });
  await store.open();
  return store;
}

interface Retirement {
  add(backend: Backend): void;
  settled(): Promise<unknown>;
}

/** Backends of earlier configurations, each closed after the last exchange that may still use it. */
function createRetirement(open: OpenExchanges): Retirement {
  const retiring = new Set<Promise<void>>();
  return {
    add(backend) {
      backend.stopWarmUps();
      const closing = open.settled().then(() => backend.close());
      retiring.add(closing);
      void closing.finally(() => retiring.delete(closing));
    },
    settled: () => Promise.all(retiring),
  };
}
