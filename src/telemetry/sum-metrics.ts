/** The metrics of several processes as those of one: what a process counted stays counted when it has died. */
import { AggregatorRegistry, collectDefaultMetrics, Registry } from "prom-client";
import type { MetricSample, MetricsText } from "./metrics.ts";

/** How values of one name become one; sums otherwise. By the trouble that one process may be in, and that a mean would hide. */
const WORST: readonly (readonly [pattern: RegExp, aggregator: "min" | "max"])[] = [
  // What one of them knows to be out is out; of the models that are, each may know the same.
  [/^perennial_(upstream|store)_up$/, "min"],
  [/^perennial_upstream_rests$/, "max"],
  [/^nodejs_eventloop_lag_(?!min)/, "max"],
  // It stays that of the program when one of its processes is replaced.
  [/^process_start_time_seconds$/, "min"],
];

/** What only grows: a scraper takes less than before for a restart, and would count all of it again. */
const GROWS: ReadonlySet<string> = new Set(["counter", "histogram"]);

/** Of more the sum is kept, and not each. */
const MOST_DEAD = 4;

export class SummedMetrics<Process> {
  /** What each said last. */
  readonly #last = new Map<Process, readonly MetricSample[]>();
  /** What those counted that have died, as they said last: no scraper has seen more. Of many it is one sum. */
  readonly #ofTheDead: (readonly MetricSample[])[] = [];
  /** Of the process that starts the others. */
  readonly #own = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#own });
  }

  /** @param said by each that could say it; of the others what they said last goes on to count. */
  async read(said: ReadonlyMap<Process, readonly MetricSample[]>): Promise<MetricsText> {
    for (const [process, metrics] of said) this.#last.set(process, metrics);
    const own = (await this.#own.getMetricsAsJSON()).filter(({ name }) => name.startsWith("process_"));
    const all = sum([...this.#last.values(), ...this.#ofTheDead, own]);
    return { contentType: all.contentType, body: await all.metrics() };
  }

  async forget(process: Process): Promise<void> {
    const dead = this.#last.get(process);
    if (dead === undefined) return;
    // In one step: between the two nobody may read.
    this.#last.delete(process);
    this.#ofTheDead.push(dead.filter(({ type }) => GROWS.has(String(type))));
    if (this.#ofTheDead.length <= MOST_DEAD) return;
    const some = this.#ofTheDead.slice();
    const summed = await sum(some).getMetricsAsJSON();
    // Others may have been added up meanwhile.
    if (this.#ofTheDead[0] === some[0]) this.#ofTheDead.splice(0, some.length, summed);
  }
}

function sum(all: readonly (readonly MetricSample[])[]): Registry {
  const told = all.map((metrics) =>
    metrics.map((metric) => {
      const worst = WORST.find(([pattern]) => pattern.test(metric.name))?.[1];
      return worst === undefined ? metric : { ...metric, aggregator: worst };
    }),
  );
  return AggregatorRegistry.aggregate(told);
}
