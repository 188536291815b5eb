/** The processes that serve together, as one of them sees them: what they count together, and what each has to say of itself. */
import type { SharedRates } from "../balance/rate/shared-rates.ts";
import type { SharedMakers } from "../balance/sticky-upstreams.ts";
import type { SharedPlaces } from "../server/open-exchanges.ts";
import type { StreamPageView } from "../telemetry/history/view.ts";
import type { MetricSample, MetricsText } from "../telemetry/metrics.ts";
import type { OutcomeCounts } from "../telemetry/tally.ts";
import type { DashboardPart } from "./dashboard.ts";

export interface WorkerGroup {
  readonly places: SharedPlaces;
  /** For limits that no store counts. */
  readonly rates: SharedRates;
  readonly makers: SharedMakers;
  /** Asked anew each time, since a new configuration may change what is answered. */
  answerWith(answers: () => WorkerAnswers): void;
  /** What all of them say, this one included. None of these rejects while the group is there. */
  readMetrics(): Promise<MetricsText>;
  dashboardParts(): Promise<readonly DashboardPart[]>;
  findStream(id: string): Promise<StreamPageView | undefined>;
  isReady(): Promise<boolean>;
  /** How the exchanges of this one have ended, told at its end. */
  tellOutcomes(counts: OutcomeCounts): void;
}

/** What one of them says of itself. */
export interface WorkerAnswers {
  /** None where they are turned off. */
  metrics(): Promise<readonly MetricSample[]>;
  /** Undefined where there is no dashboard. */
  dashboardPart(): DashboardPart | undefined;
  findStream(id: string): StreamPageView | undefined;
  isReady(): boolean;
}
