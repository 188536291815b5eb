/** Asks an upstream now and then whether it answers, so that its clients need not find out. */
import { setTimeout as sleep } from "node:timers/promises";
import { askPath } from "../call/probe.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { HealthState } from "../core/upstream-state.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Outages } from "./outages.ts";

/** Times in milliseconds. */
export interface HealthCheckOptions {
  readonly upstream: Upstream;
  readonly outages: Outages;
  /** Where it is asked, under the base URL. */
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Told when it has gone down, and when it is back. */
  onChange(failure: Failure | undefined): void;
}

/** A check takes its time: its upstream is not asked by a client meanwhile. */
const GRACE = 2;

export class HealthCheck {
  isUp = true;
  /** On the clock of `performance.now()`. */
  #checkedAt: number | undefined;
  readonly #options: HealthCheckOptions;
  readonly #closed = new AbortController();

  constructor(options: HealthCheckOptions) {
    this.#options = options;
  }

  /** Undefined before the first check. */
  get state(): HealthState | undefined {
    const checkedAt = this.#checkedAt;
    return checkedAt === undefined ? undefined : { isUp: this.isUp, agoMs: Math.round(performance.now() - checkedAt) };
  }

  start(): void {
    void this.#run();
  }

  close(): void {
    this.#closed.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#check();
      await sleep(this.#options.everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #check(): Promise<void> {
    const { upstream, outages, path, everyMs, timeoutMs } = this.#options;
    const failure = await askPath({ upstream, path, timeoutMs }, this.#closed.signal).then(() => undefined, toFailure);
    if (this.#closed.signal.aborted) return;
    // Whatever it refuses, it answers: a key, or a path, is no matter of health.
    const isDown = failure !== undefined && failure.scope === "again" && !(failure.status >= 400 && failure.status < 500);
    if (isDown) outages.closeConnection(failure, GRACE * everyMs);
    else outages.openConnection();
    if (isDown === this.isUp) this.#options.onChange(isDown ? failure : undefined);
    this.isUp = !isDown;
    this.#checkedAt = performance.now();
  }
}
