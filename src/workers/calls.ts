/** What the primary and its workers ask of each other. */
import type { LedgerAnswer, LedgerCharge, Settlement } from "../balance/rate/ledger.ts";
import type { Config } from "../config/schema.ts";
import type { DashboardPart } from "../runtime/dashboard.ts";
import type { Reloaded } from "../runtime/runtime.ts";
import type { StreamPageView } from "../telemetry/history/view.ts";
import type { MetricSample, MetricsText } from "../telemetry/metrics.ts";
import type { OutcomeCounts } from "../telemetry/tally.ts";

export interface Beginning {
  /** From 1; one that takes the place of another has its number. */
  readonly worker: number;
  /** Of all workers together. */
  readonly config: Config;
  /** What another says as well is not logged by this one. */
  readonly isFirst: boolean;
}

/** Why it does not listen, or takes no new configuration: an error as it can be sent. */
export interface Refusal {
  readonly problems?: readonly string[];
  readonly error?: {
    readonly message: string;
    readonly stack: string | undefined;
    readonly code?: string;
    readonly syscall?: string;
  };
}

export type Begun = { readonly url: string; readonly isSandbox: boolean } | { readonly refused: Refusal };

/** What a worker can be asked. */
export type WorkerCalls = {
  begin(beginning: Beginning): Promise<Begun>;
  /** Whether it can be taken. */
  prepare(config: Config): Promise<"prepared" | Refusal>;
  commit(): Promise<Reloaded>;
  cancel(): Promise<void>;
  /** Answered when all that it served has ended. */
  drain(): Promise<void>;
  metrics(): Promise<readonly MetricSample[]>;
  dashboardPart(): DashboardPart | undefined;
  findStream(id: string): StreamPageView | undefined;
  isReady(): boolean;
};

/** What the primary can be asked. */
export type PrimaryCalls = {
  take(charges: readonly LedgerCharge[]): LedgerAnswer;
  settle(settlement: Settlement): void;
  remember(made: { readonly name: string; readonly upstream: string }): void;
  findMakers(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  readMetrics(): Promise<MetricsText>;
  dashboardParts(): Promise<readonly DashboardPart[]>;
  findStream(id: string): Promise<StreamPageView | undefined>;
  isReady(): Promise<boolean>;
  tellOutcomes(counts: OutcomeCounts): void;
};

/** By it a process knows that it is a worker. */
export const WORKER_VARIABLE = "PERENNIAL_WORKER";
