/** The runs that are under way, by their id. */
import { Run, type RunOptions } from "./run.ts";

export class RunRegistry {
  readonly #runs = new Map<string, Run>();

  /** A run that is found here until it is over. */
  start(options: RunOptions): Run {
    const run = new Run(options);
    this.#runs.set(run.id, run);
    void run.ended.then(() => this.#runs.delete(run.id));
    return run;
  }

  find(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  get size(): number {
    return this.#runs.size;
  }
}
