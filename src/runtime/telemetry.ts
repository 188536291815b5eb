/** Who listens to exchanges: the log always, metrics where they are enabled, traces where the environment says where to. */
import type { Logger } from "pino";
import type { ExchangeRecorderOptions, OpenRecordings } from "../capture/exchange-recorder.ts";
import type { Config } from "../config/schema.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { NamedUpstreamState } from "../core/upstream-state.ts";
import { CHATCHAT_ROUTES, OPENAI_ROUTES } from "../dialect/registry.ts";
import type { RelayContext } from "../relay/start-run.ts";
import type { KeptStreams } from "../run/kept-streams.ts";
import type { OpenExchanges } from "../server/open-exchanges.ts";
import type { OnDefect } from "../telemetry/combine-observers.ts";
import { createDefectLog } from "../telemetry/defect-log.ts";
import { createExchangeLog } from "../telemetry/exchange-log.ts";
import type { Texts } from "../telemetry/history/texts.ts";
import type { History } from "../telemetry/history.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createTally, summarize } from "../telemetry/tally.ts";
import type { Traces } from "../telemetry/traces.ts";
import type { WorkerGroup } from "./worker-group.ts";

/** What is counted when it is asked for. */
export interface Counted {
  readonly open: OpenExchanges;
  readonly held: HeldMemory;
  readonly kept: KeptStreams;
  /** Undefined where answers are kept here alone. */
  readonly isStoreUp: () => boolean | undefined;
  readonly upstreams: () => readonly NamedUpstreamState[];
}

export interface Telemetry {
  /** Told in this order. */
  readonly observers: readonly Observer[];
  readonly propagators: readonly Propagator[];
  /** Called with what one of them threw. */
  readonly onDefect: OnDefect;
  /** Loaded when it is first asked for, and counting on from there. */
  metrics(): Promise<Metrics>;
  /** For the dashboard; the same from when it is first asked for. */
  history(): Promise<History>;
  /** What was asked and answered of late, where the dashboard is to show it; whatever was kept is forgotten where not. */
  texts(shown: boolean): Promise<Texts | undefined>;
  /** Captures of single exchanges, where a configuration names a folder for them. */
  recorder(config: Config, held: HeldMemory): Promise<RelayContext["record"]>;
  close(): Promise<void>;
}

/** @param group where others serve beside this process, and one line for all is logged at the end. */
export async function openTelemetry(logger: Logger, counted: Counted, group?: WorkerGroup): Promise<Telemetry> {
  const traces = await startTraces(logger);
  const tally = createTally();
  let metrics: Promise<Metrics> | undefined;
  let history: Promise<History> | undefined;
  let texts: Texts | undefined;
  let recordings: OpenRecordings | undefined;
  return {
    observers: [createExchangeLog(logger), tally.observer, ...(traces === undefined ? [] : [traces.observer])],
    propagators: traces === undefined ? [] : [traces.propagator],
    onDefect: createDefectLog(logger),
    metrics() {
      metrics ??= startMetrics(counted);
      return metrics;
    },
    history() {
      history ??= import("../telemetry/history.ts").then(({ createHistory }) => createHistory());
      return history;
    },
    async texts(shown) {
      if (!shown) texts = undefined;
      else if (texts === undefined) {
        texts = (await import("../telemetry/history/texts.ts")).createTexts();
        logger.warn("prompts and answers are kept in memory, and shown on the dashboard (dashboard.text)");
      }
      return texts;
    },
    async recorder(config, held) {
      if (config.record === false) return undefined;
      const { createExchangeRecorder, OpenRecordings } = await import("../capture/exchange-recorder.ts");
      recordings ??= new OpenRecordings(held);
      return createExchangeRecorder(recorderOptions(config, config.record, recordings, logger));
    },
    async close() {
      const summary = group === undefined ? summarize(tally.counts) : undefined;
      if (summary !== undefined) logger.info(summary);
      group?.tellOutcomes(tally.counts);
      await traces?.close();
    },
  };
}

/** The metrics, where a configuration wants them. */
export async function metricsFor({ metrics }: Config, telemetry: Telemetry): Promise<Metrics | undefined> {
  return metrics.enabled ? telemetry.metrics() : undefined;
}

async function startMetrics(counted: Counted): Promise<Metrics> {
  const { createMetrics } = await import("../telemetry/metrics.ts");
  return createMetrics({
    dialects: [...OPENAI_ROUTES, ...CHATCHAT_ROUTES].map(({ dialect }) => dialect.name),
    countOpen: () => counted.open.size,
    countHeldBytes: () => counted.held.bytes,
    countKept: () => ({ streams: counted.kept.size, bytes: counted.kept.bytes }),
    isStoreUp: counted.isStoreUp,
    upstreamStates: counted.upstreams,
  });
}

function recorderOptions(
  { upstreams, auth }: Config,
  record: Exclude<Config["record"], false>,
  recordings: OpenRecordings,
  logger: Logger,
): ExchangeRecorderOptions {
  if (record.texts) logger.warn("prompts and answers are written to captures as they are (record.texts)");
  const keys = upstreams.flatMap(({ apiKey, apiKeys = [] }) => (apiKey === undefined ? apiKeys : [apiKey, ...apiKeys]));
  return {
    ...record,
    secrets: [...keys, ...auth.keys],
    recordings,
    report(id, reason) {
      if (reason === undefined) logger.info({ id, dir: record.dir }, "what the upstream sent is written down (record)");
      else logger.warn({ id, reason }, "a request is not written down (record)");
    },
  };
}

/** The standard variables of OpenTelemetry turn it on; without them its SDK is not even loaded. */
async function startTraces(logger: Logger): Promise<Traces | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SDK_DISABLED } = process.env;
  if (!(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) || OTEL_SDK_DISABLED === "true") return undefined;
  const { createTraces } = await import("../telemetry/traces.ts");
  return createTraces(() => logger.warn("traces cannot be sent; check OTEL_EXPORTER_OTLP_ENDPOINT and its collector"));
}
