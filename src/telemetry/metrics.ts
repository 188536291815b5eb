/** Counters and histograms for Prometheus: an observer that counts, and the text that /metrics serves. */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";
import type { Exchange } from "../core/exchange.ts";
import { FAILURES } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";
import type { NamedUpstreamState } from "../core/upstream-state.ts";

export interface MetricsOptions {
  /** Names of the dialects: the values that the label `dialect` can have, beside `passthrough`. */
  readonly dialects: readonly string[];
  /** Exchanges that run at this moment. */
  readonly countOpen: () => number;
  /** Bytes that are held for clients at this moment. */
  readonly countHeldBytes: () => number;
  /** Answers that are kept at this moment. */
  readonly countKept: () => { readonly streams: number; readonly bytes: number };
  /** Whether the store that replicas share can be reached; undefined where there is none. */
  readonly isStoreUp: () => boolean | undefined;
  /** How things stand with each upstream of the configuration. */
  readonly upstreamStates: () => readonly NamedUpstreamState[];
}

export interface Metrics {
  readonly observer: Observer;
  /** The metrics as they stand now, in the text format of Prometheus. */
  read(): Promise<MetricsText>;
  /** The same, to be added to those of other processes: see sum-metrics.ts. */
  collect(): Promise<readonly MetricSample[]>;
}

/** One metric of one process, with all its values. */
export type MetricSample = MetricObjectWithValues<MetricValue<string>>;

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

/** From a fast local model to the default `timeouts.firstToken`, in seconds. */
const FIRST_TOKEN_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 180, 600];
const GAP_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600];
const DURATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
const QUEUE_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60];
const RATE_BUCKETS = [0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const FIRST_REQUEST_BUCKETS = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const ADDED_BUCKETS = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];

/** A record, so that a new outcome cannot be forgotten here. True: the client got a whole answer. */
const IS_WHOLE: Readonly<Record<Outcome, boolean>> = {
  complete: true,
  recovered: true,
  repaired: true,
  resumed: true,
  failed: false,
  interrupted: false,
  cancelled: false,
  rejected: false,
};

const PASSTHROUGH = "passthrough";

/**
 * Every label has a bounded set of values: dialects, outcomes, failure codes and the upstreams' configured names.
 * Nothing that a client names, such as the model, may become a label: each new value would be a series for good.
 */
export function createMetrics({
  dialects,
  countOpen,
  countHeldBytes,
  countKept,
  isStoreUp,
  upstreamStates,
}: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const exchanges = new Counter({
    name: "perennial_exchanges_total",
    help: "Client requests that have ended, by how.",
    labelNames: ["dialect", "outcome"],
    registers,
  });
  const failures = new Counter({
    name: "perennial_failures_total",
    help: "Client requests that ended without a whole answer, by failure code.",
    labelNames: ["code"],
    registers,
  });
  const attempts = new Counter({
    name: "perennial_attempts_total",
    help: "Attempts that have ended, by upstream; the result is ok, lost (another was faster, see hedge) or a failure code.",
    labelNames: ["upstream", "result"],
    registers,
  });
  const retriesRefused = new Counter({
    name: "perennial_retries_refused_total",
    help: "Retries that were not made since too many of all requests were retried (retry.budget).",
    registers: [registry],
  });
  const retries = new Counter({
    name: "perennial_retries_total",
    help: "Attempts that were followed by another, by the failure that caused it.",
    labelNames: ["upstream", "cause"],
    registers,
  });
  const hedges = new Counter({
    name: "perennial_hedges_total",
    help: "Second attempts beside one that was slow (hedge): those that answered, that were slower still, and that failed.",
    labelNames: ["result"],
    registers,
  });
  const hedgeLost = new Counter({
    name: "perennial_hedge_lost_seconds_total",
    help: "Time that upstreams worked on attempts which were ended since another was faster: what hedging costs.",
    registers: [registry],
  });
  const recovered = new Counter({
    name: "perennial_recovered_total",
    help: "Whole answers that needed more than one attempt, by the failure that the client would have seen.",
    labelNames: ["cause"],
    registers,
  });
  const resumed = new Counter({
    name: "perennial_resumed_total",
    help: "Breaks of answers over which they went on, by what proved it.",
    labelNames: ["by"],
    registers,
  });
  const notContinued = new Counter({
    name: "perennial_not_continued_total",
    help: "Breaks of answers over which they did not go on although recovery allows it, by the rule.",
    labelNames: ["rule"],
    registers,
  });
  const seamsRefused = new Counter({
    name: "perennial_seams_refused_total",
    help: "Attempts that were refused as the rest of an answer, by the rule.",
    labelNames: ["rule"],
    registers,
  });
  const paidTwice = new Counter({
    name: "perennial_paid_twice_tokens_total",
    help: "Tokens that the rest of answers cost although they had been paid for: as the upstream counted them, or estimated.",
    labelNames: ["from"],
    registers,
  });
  const firstToken = new Histogram({
    name: "perennial_time_to_first_token_seconds",
    help: "From a request's arrival to its first content, failed attempts included; streamed answers only.",
    labelNames: ["dialect"],
    buckets: FIRST_TOKEN_BUCKETS,
    registers,
  });
  const longestGap = new Histogram({
    name: "perennial_longest_gap_seconds",
    help: "The longest silence between two pieces of content in each streamed answer.",
    labelNames: ["dialect"],
    buckets: GAP_BUCKETS,
    registers,
  });
  const duration = new Histogram({
    name: "perennial_exchange_duration_seconds",
    help: "From a request's arrival to the end of its answer; refused requests are left out.",
    labelNames: ["dialect"],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const addedLatency = new Histogram({
    name: "perennial_added_latency_seconds",
    help: "What Perennial takes for itself: from having read a request to asking the upstream for the first time.",
    buckets: ADDED_BUCKETS,
    registers,
  });
  const firstRequest = new Histogram({
    name: "perennial_first_request_wait_seconds",
    help: "From accepting a connection to its first request: what its client takes, and what the event loop lets it wait.",
    buckets: FIRST_REQUEST_BUCKETS,
    registers,
  });
  const queued = new Gauge({
    name: "perennial_queued_exchanges",
    help: "Client requests that wait now for one of the upstream's connections (maxConnections).",
    labelNames: ["upstream"],
    registers,
  });
  const queueWait = new Histogram({
    name: "perennial_queue_wait_seconds",
    help: "How long requests waited for one of the upstream's connections; those that did not wait are left out.",
    labelNames: ["upstream"],
    buckets: QUEUE_BUCKETS,
    registers,
  });
  const rateQueued = new Gauge({
    name: "perennial_rate_queued_exchanges",
    help: "Client requests that wait now for a rate limit, of an upstream or of a client's key.",
    labelNames: ["scope", "name"],
    registers,
  });
  const rateWait = new Histogram({
    name: "perennial_rate_wait_seconds",
    help: "How long requests waited for a rate limit; those that did not wait are left out.",
    labelNames: ["scope", "name"],
    buckets: RATE_BUCKETS,
    registers,
  });
  const rateRefused = new Counter({
    name: "perennial_rate_refused_total",
    help: "Client requests that waited for a rate limit for as long as rate.wait allows, in vain.",
    labelNames: ["scope", "name"],
    registers,
  });
  const clientBytes = new Counter({
    name: "perennial_client_bytes_total",
    help: "Body bytes sent to clients, counted when their exchange ends.",
    labelNames: ["dialect"],
    registers,
  });
  new Gauge({
    name: "perennial_open_exchanges",
    help: "Client requests that are being served now.",
    registers,
    collect() {
      this.set(countOpen());
    },
  });
  new Gauge({
    name: "perennial_held_bytes",
    help: "Bytes held now for clients: requests, what is held back of answers, and what slow clients have not read.",
    registers,
    collect() {
      this.set(countHeldBytes());
    },
  });

  const comeBacks = new Counter({
    name: "perennial_come_backs_total",
    help: "Requests for an answer that is kept, by how they named it, and whether it ran still, was over, or could not be given.",
    labelNames: ["way", "found"],
    registers,
  });
  const takeovers = new Counter({
    name: "perennial_takeovers_total",
    help: "Answers that another replica had begun, and this one has gone on with, by how they ended (store.takeover).",
    labelNames: ["outcome"],
    registers,
  });
  const lingered = new Counter({
    name: "perennial_lingered_seconds_total",
    help: "Time for which answers were made on while no client listened (replay.linger).",
    registers,
  });
  const lingeredCharacters = new Counter({
    name: "perennial_lingered_characters_total",
    help: "Characters of answers that were made while no client listened (replay.linger).",
    registers,
  });
  new Gauge({
    name: "perennial_kept_streams",
    help: "Answers that are kept now for clients that come back, those that are still made included.",
    registers,
    collect() {
      this.set(countKept().streams);
    },
  });
  new Gauge({
    name: "perennial_kept_bytes",
    help: "Bytes that are kept now for clients that come back.",
    registers,
    collect() {
      this.set(countKept().bytes);
    },
  });
  gaugeUpstreams(registry, upstreamStates);

  new Gauge({
    name: "perennial_store_up",
    help: "Whether the store that replicas share, of answers and rate limits, can be reached; absent where there is none.",
    registers,
    collect() {
      this.reset();
      const isUp = isStoreUp();
      if (isUp !== undefined) this.set(isUp ? 1 : 0);
      else this.remove();
    },
  });

  // rate() does not see the first of its kind unless a zero came before it.
  for (const dialect of [...dialects, PASSTHROUGH]) {
    for (const outcome of Object.keys(IS_WHOLE)) exchanges.inc({ dialect, outcome }, 0);
  }
  for (const code of Object.keys(FAILURES)) failures.inc({ code }, 0);

  const observer: Observer = {
    onFirstRequest(waitedMs) {
      firstRequest.observe(waitedMs / 1_000);
    },

    onQueueStart(_exchange, upstream) {
      queued.inc({ upstream });
    },

    onQueueEnd(_exchange, upstream, waitedMs) {
      queued.dec({ upstream });
      queueWait.observe({ upstream }, waitedMs / 1_000);
    },

    onRateWaitStart(_exchange, { scope, name }) {
      rateQueued.inc({ scope, name });
    },

    onRateWaitEnd(_exchange, { scope, name }, waitedMs) {
      rateQueued.dec({ scope, name });
      rateWait.observe({ scope, name }, waitedMs / 1_000);
    },

    onRateRefused(_exchange, { scope, name }) {
      rateRefused.inc({ scope, name });
    },

    onAttemptStart({ readAt, stats }, { number }) {
      // What a limit makes it wait is what its user has set.
      if (number === 1) addedLatency.observe((performance.now() - readAt - (stats.limitedMs ?? 0)) / 1_000);
    },

    onAttemptEnd(_exchange, { upstream, failure, seam, paidTwice: cost, hedge, lost, durationMs }) {
      attempts.inc({ upstream, result: lost ? "lost" : (failure ?? "ok") });
      if (seam !== undefined) seamsRefused.inc({ rule: seam });
      if (cost !== undefined) paidTwice.inc({ from: cost.from }, cost.tokens);
      if (hedge) hedges.inc({ result: lost ? "lost" : failure === undefined ? "won" : "failed" });
      if (lost) hedgeLost.inc(durationMs / 1_000);
    },

    onRetry(_exchange, { upstream }, { code }) {
      retries.inc({ upstream, cause: code });
    },

    onRetryRefused() {
      retriesRefused.inc();
    },

    onComeBack(way, found) {
      comeBacks.inc({ way, found });
    },

    onExchangeEnd(exchange, { outcome, failure, durationMs, seams = [], seam, lingered: span }) {
      const dialect = exchange.api?.dialect.name ?? PASSTHROUGH;
      const { firstTokenMs, longestGapMs, bytes } = exchange.stats;
      exchanges.inc({ dialect, outcome });
      if (failure !== undefined) failures.inc({ code: failure });
      for (const by of seams) resumed.inc({ by });
      if (seam !== undefined) notContinued.inc({ rule: seam });
      const cause = firstFailure(exchange);
      if (cause !== undefined && IS_WHOLE[outcome]) recovered.inc({ cause });
      if (firstTokenMs !== undefined) firstToken.observe({ dialect }, firstTokenMs / 1_000);
      if (longestGapMs !== undefined) longestGap.observe({ dialect }, longestGapMs / 1_000);
      if (outcome !== "rejected") duration.observe({ dialect }, durationMs / 1_000);
      clientBytes.inc({ dialect }, bytes);
      if (exchange.kept?.takenOver) takeovers.inc({ outcome });
      if (span === undefined) return;
      lingered.inc(span.ms / 1_000);
      lingeredCharacters.inc(span.characters);
    },

    onRejected({ failure, durationMs }) {
      const outcome = outcomeOfRefusal(failure);
      exchanges.inc({ dialect: PASSTHROUGH, outcome });
      failures.inc({ code: failure });
      if (outcome !== "rejected") duration.observe({ dialect: PASSTHROUGH }, durationMs / 1_000);
    },
  };

  return {
    observer,
    read: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    collect: () => registry.getMetricsAsJSON(),
  };
}

/** Set anew each time they are asked for, so that an upstream that is no longer configured is no longer told of. */
function gaugeUpstreams(registry: Registry, upstreamStates: MetricsOptions["upstreamStates"]): void {
  const registers = [registry];
  const labelNames = ["upstream"];
  // The first of the three, since they are read in this order: it sets the others too.
  new Gauge({
    name: "perennial_upstream_up",
    help: "0 while all of an upstream is known to be out (no connection, or its health check fails), else 1.",
    labelNames,
    registers,
    collect() {
      for (const gauge of [this, running, rests]) gauge.reset();
      for (const { name: upstream, open, rests: known, counts, keys } of upstreamStates()) {
        this.set({ upstream }, known.some(({ part }) => part === undefined) ? 0 : 1);
        running.set({ upstream }, open);
        for (const why of ["outage", "breaker"] as const) rests.set({ upstream, why }, counts[why]);
        rests.set({ upstream, why: "key" }, keys.filter(({ rest }) => rest !== undefined).length);
      }
    },
  });
  const running = new Gauge({
    name: "perennial_upstream_open_attempts",
    help: "Attempts that run now, by upstream.",
    labelNames,
    registers,
  });
  const rests = new Gauge({
    name: "perennial_upstream_rests",
    help: "Models that are out or whose circuit breaker is open, and keys that are refused or limited; a whole upstream counts as one.",
    labelNames: [...labelNames, "why"],
    registers,
  });
}

/** What the client would have seen without Perennial. */
function firstFailure({ attempts }: Exchange) {
  return attempts.find(({ failure }) => failure !== undefined)?.failure;
}
