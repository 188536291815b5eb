/** How long one exchange has been kept waiting by outages: the upstream may have answered others in between. */

export class OutageClock {
  #totalMs = 0;
  /** On the clock of `performance.now()`. */
  #since: number | undefined;

  start(): void {
    this.#since ??= performance.now();
  }

  stop(): void {
    this.#totalMs = this.totalMs;
    this.#since = undefined;
  }

  get totalMs(): number {
    return this.#totalMs + (this.#since === undefined ? 0 : performance.now() - this.#since);
  }
}
