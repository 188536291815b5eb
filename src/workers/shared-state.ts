/** What the primary keeps for its workers, and what it tells one of them of all: limits, makers, metrics, the dashboard. */
import { setImmediate as turnOfLoop } from "node:timers/promises";
import { Ledger } from "../balance/rate/ledger.ts";
import { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import type { SummedMetrics } from "../telemetry/sum-metrics.ts";
import { type OutcomeCounts, summarize } from "../telemetry/tally.ts";
import type { PrimaryCalls } from "./calls.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** A worker that does not answer within this is left out, in milliseconds. */
const ANSWER_MS = 2_000;

export class SharedState {
  readonly #ledger = new Ledger<WorkerProcess>();
  readonly #makers = new StickyUpstreams();
  readonly #outcomes: OutcomeCounts[] = [];
  readonly #listening: () => readonly WorkerProcess[];
  readonly #hasStarted: () => boolean;
  /** Loaded when it is first asked for. */
  #metrics: Promise<SummedMetrics<WorkerProcess>> | undefined;

  /** @param listening the workers that serve now. @param hasStarted all of them have listened. */
  constructor(listening: () => readonly WorkerProcess[], hasStarted: () => boolean) {
    this.#listening = listening;
    this.#hasStarted = hasStarted;
  }

  /** What this worker can ask. */
  answersFor(worker: WorkerProcess): PrimaryCalls {
    return {
      take: (charges) => this.#ledger.take(worker, charges),
      settle: (settlement) => this.#ledger.settle(worker, settlement),
      remember: ({ name, upstream }) => this.#makers.remember(name, upstream),
      findMakers: (names) => this.#findMakers(names),
      readMetrics: () => this.#readMetrics(),
      dashboardParts: async () => [...(await this.#ask("dashboardPart", undefined)).values()],
      findStream: async (id) => [...(await this.#ask("findStream", id)).values()][0],
      isReady: () => this.#isReady(),
      tellOutcomes: (counts) => void this.#outcomes.push(counts),
    };
  }

  /** It has ended: what it holds of the limits is free, and what it counted stays counted. */
  async forget(worker: WorkerProcess): Promise<void> {
    this.#ledger.forget(worker);
    await (await this.#metrics)?.forget(worker);
  }

  /** How all exchanges have ended; undefined where there were none. */
  summary(): string | undefined {
    return this.#outcomes.length === 0 ? undefined : summarize(...this.#outcomes);
  }

  async #findMakers(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    // What another worker has said before its client could ask this one may lie in its pipe still: all pipes are read in a turn.
    await turnOfLoop();
    await turnOfLoop();
    return this.#makers.find(names);
  }

  async #readMetrics() {
    this.#metrics ??= import("../telemetry/sum-metrics.ts").then(({ SummedMetrics }) => new SummedMetrics());
    const metrics = await this.#metrics;
    const said = await this.#ask("metrics", undefined);
    const listening = this.#listening();
    // One that has died since would never be forgotten.
    return metrics.read(new Map([...said].filter(([worker]) => listening.includes(worker))));
  }

  /** Not before all have begun; from then on those that are there are enough, since another takes a dead one's place at once. */
  async #isReady(): Promise<boolean> {
    const asked = this.#listening().length;
    const ready = await this.#ask("isReady", undefined);
    return this.#hasStarted() && asked > 0 && ready.size === asked && [...ready.values()].every((is) => is);
  }

  /** Those that do not answer, or have nothing to say, are left out. */
  async #ask<Name extends Parameters<WorkerProcess["ask"]>[0]>(name: Name, asked: Parameters<WorkerProcess["ask"]>[1]) {
    type Said = NonNullable<Awaited<ReturnType<typeof WorkerProcess.prototype.ask<Name>>>>;
    const said = await Promise.all(
      this.#listening().map(async (worker) => [worker, await worker.ask(name, asked as never, ANSWER_MS)] as const),
    );
    return new Map(said.filter((each): each is [WorkerProcess, Said] => each[1] !== undefined));
  }
}
