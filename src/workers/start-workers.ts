/** The primary: it starts the workers, takes over the place of one that dies, and has all of them reload, or none. It serves nothing itself. */
import type { Logger } from "pino";
import type { App } from "../app.ts";
import { ConfigError } from "../config/config-error.ts";
import { changedSettings, settingsForRestart, withFixed } from "../config/reload-rules.ts";
import type { Config } from "../config/schema.ts";
import { findUnshared, workerCount } from "../config/worker-settings.ts";
import type { Reloaded } from "../runtime/runtime.ts";
import type { Refusal } from "./calls.ts";
import { ChannelClosed } from "./channel.ts";
import { errorOf } from "./refusals.ts";
import { SharedState } from "./shared-state.ts";
import { prepareFork, WorkerProcess } from "./worker-process.ts";

/** One that has served for so long has not died of its start, in milliseconds. */
const SETTLED_MS = 10_000;
/** Before one is started again that dies at its start, in milliseconds; then twice as long each time. */
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

/** A worker that has not said by then whether it can take a new configuration has all of them keep the old one, in milliseconds. */
const PREPARE_MS = 30_000;

/** The program with several processes, seen as one. */
export interface WorkersApp extends Omit<App, "prepare"> {
  /** The processes that serve, by their ids. */
  readonly pids: readonly number[];
}

/** @throws what the first worker cannot listen for. */
export async function startWorkers(started: Config, logger: Logger): Promise<WorkersApp> {
  prepareFork();
  const primary = new Primary(started, logger);
  // However this process ends, its workers end with it; of a kill they learn by themselves.
  process.on("exit", () => primary.kill());
  try {
    const { url, isSandbox } = await primary.start();
    return { url, isSandbox, pids: primary.pids, reload: (config) => primary.reload(config), close: () => primary.close() };
  } catch (error) {
    await primary.close();
    throw error;
  }
}

class Primary {
  readonly #started: Config;
  readonly #logger: Logger;
  readonly #shared: SharedState;
  /** All that have not ended. */
  readonly #alive = new Set<WorkerProcess>();
  /** Those of them that serve. */
  readonly #listening = new Set<WorkerProcess>();
  readonly #replacements = new Set<NodeJS.Timeout>();
  #state: "starting" | "serving" | "closing" = "starting";
  /** What is in force. */
  #config: Config;
  /** One after the other: what a worker begins with must be what the others have when it joins them. */
  #turns: Promise<unknown> = Promise.resolve();

  constructor(started: Config, logger: Logger) {
    this.#started = started;
    this.#config = started;
    this.#logger = logger;
    this.#shared = new SharedState(
      () => [...this.#listening],
      () => this.#state !== "starting",
    );
  }

  get pids(): readonly number[] {
    return [...this.#alive].flatMap(({ pid }) => pid ?? []);
  }

  async start(): Promise<{ url: string; isSandbox: boolean }> {
    const numbers = Array.from({ length: workerCount(this.#started) }, (_, index) => index + 1);
    const [first, ...others] = numbers.map((number) => this.#fork(number, 0)) as [WorkerProcess, ...WorkerProcess[]];
    // What keeps one from listening keeps all of them, and is told once.
    const begun = await this.#begin(first, true);
    await Promise.all(others.map((worker) => this.#begin(worker, false)));
    if (this.#listening.size < numbers.length) throw new Error("a worker has ended while the others started");
    if (this.#state === "starting") this.#state = "serving";
    return begun;
  }

  /** @throws ConfigError */
  reload(next: Config): Promise<Reloaded> {
    return this.#inTurn(async () => {
      if (this.#state === "closing") throw new ConfigError(["Perennial is shutting down"]);
      const { workers, store } = this.#started;
      const problems = findUnshared({ ...next, workers, store });
      if (problems.length > 0) throw new ConfigError(problems.map(({ path, message }) => `${path.join(".")}: ${message}`));
      const asked = [...this.#listening];
      const given = { ...next, workers };
      const refusals = await Promise.all(asked.map((worker) => this.#prepare(worker, given)));
      const refusal = refusals.find((each) => each !== undefined);
      if (refusal !== undefined) {
        for (const worker of asked) worker.cancel();
        throw errorOf(refusal);
      }
      const old = this.#config;
      this.#config = next;
      const reloaded = await Promise.all(asked.map((worker) => this.#commit(worker)));
      if (next.log.level !== old.log.level) this.#logger.level = next.log.level;
      const certificates = reloaded.some((each) => each?.changed.includes("certificates")) ? ["certificates"] : [];
      return {
        changed: [...changedSettings(old, next), ...certificates],
        needsRestart: settingsForRestart(this.#started, next),
      };
    });
  }

  /** @returns why it cannot take it; undefined for one that can, or that has died: another takes its place, with what is in force by then. */
  async #prepare(worker: WorkerProcess, config: Config): Promise<Refusal | undefined> {
    const answer = await worker.ask("prepare", config, PREPARE_MS);
    if (answer === "prepared" || !worker.isThere) return undefined;
    return answer ?? { problems: [`worker ${worker.number} does not answer`] };
  }

  /** One that cannot, for a defect, makes room for another that begins with the new configuration. */
  async #commit(worker: WorkerProcess): Promise<Reloaded | undefined> {
    try {
      return await worker.call("commit", undefined);
    } catch (error) {
      if (!(error instanceof ChannelClosed))
        this.#logger.error({ worker: worker.number, err: error }, "a worker could not reload");
      worker.kill();
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#state = "closing";
    for (const replacement of this.#replacements) clearTimeout(replacement);
    for (const worker of this.#alive) worker.drain();
    await Promise.all([...this.#alive].map(({ ended }) => ended));
    const summary = this.#shared.summary();
    if (summary !== undefined) this.#logger.info(summary);
  }

  kill(): void {
    for (const worker of this.#alive) worker.kill();
  }

  /** @param failures how many of its place have died at their start, one after the other. */
  #fork(number: number, failures: number): WorkerProcess {
    const worker = new WorkerProcess(number, (self) => this.#shared.answersFor(self));
    const bornAt = performance.now();
    this.#alive.add(worker);
    void worker.ended.then(async ({ code, signal, failure }) => {
      this.#alive.delete(worker);
      this.#listening.delete(worker);
      await this.#shared.forget(worker);
      if (this.#state !== "serving") return;
      const { pid } = worker;
      // Of one that never was a process its beginning tells.
      if (failure === undefined) {
        this.#logger.error(
          { worker: number, pid, code, signal },
          "a worker has died: its streams are cut, and another takes its place",
        );
      }
      const failed = performance.now() - bornAt < SETTLED_MS ? failures + 1 : 0;
      const delayMs = failed <= 1 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failed - 2));
      const timer = setTimeout(() => {
        this.#replacements.delete(timer);
        void this.#replace(number, failed);
      }, delayMs);
      this.#replacements.add(timer);
    });
    return worker;
  }

  async #replace(number: number, failures: number): Promise<void> {
    const worker = this.#fork(number, failures);
    try {
      await this.#begin(worker, false);
      this.#logger.info({ worker: number, pid: worker.pid }, "a worker serves in the place of one that has died");
    } catch (error) {
      const reason = error instanceof ConfigError ? { problems: error.problems } : { err: error };
      if (!(error instanceof ChannelClosed)) this.#logger.error({ worker: number, ...reason }, "a worker cannot serve");
      // Its end has it tried again.
      worker.kill();
    }
  }

  /** @throws why it does not listen. */
  #begin(worker: WorkerProcess, isFirst: boolean): Promise<{ url: string; isSandbox: boolean }> {
    const begin = async () => {
      const begun = await worker.begin({ config: withFixed(this.#started, this.#config), isFirst });
      if ("refused" in begun) throw errorOf(begun.refused);
      this.#listening.add(worker);
      return begun;
    };
    // At the start there is nothing to reload yet, and they may begin side by side.
    return this.#state === "starting" ? begin() : this.#inTurn(begin);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turns.then(act);
    this.#turns = turn.catch(() => {});
    return turn;
  }
}
