/** A worker as the primary sees it. */
import cluster, { type Worker } from "node:cluster";
import { isSea } from "node:sea";
import { setTimeout as sleep } from "node:timers/promises";
import { type Beginning, type Begun, type PrimaryCalls, WORKER_VARIABLE, type WorkerCalls } from "./calls.ts";
import { Channel, ChannelClosed } from "./channel.ts";

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why there never was a process: no file descriptor, no memory, no room among the user's processes. */
  readonly failure?: Error;
}

/** The same program again, whichever way it was started. */
export function prepareFork(): void {
  // The single file is its own program, and looks for no other.
  const exec = isSea() ? process.execPath : process.argv[1];
  // Values arrive as they were: JSON knows neither undefined nor infinity nor a map.
  cluster.setupPrimary({ ...(exec !== undefined && { exec }), args: process.argv.slice(2), serialization: "advanced" });
}

export class WorkerProcess {
  readonly number: number;
  /** Resolves when it has ended, and all that it has said has been heard. */
  readonly ended: Promise<WorkerEnd>;
  readonly #worker: Worker;
  readonly #channel: Channel<WorkerCalls>;

  /** @param number from 1. */
  constructor(number: number, answer: (worker: WorkerProcess) => PrimaryCalls) {
    this.number = number;
    this.#worker = cluster.fork({ [WORKER_VARIABLE]: String(number) });
    const { process: child } = this.#worker;
    this.#channel = new Channel(child, answer(this));
    // Not with `once` of node:events, which takes any error for the end: of a message that was not sent, too.
    const disconnected = new Promise<void>((resolve) => void child.once("disconnect", resolve));
    this.ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => void disconnected.then(() => resolve({ code, signal })));
      this.#worker.on("error", (failure) => {
        if (child.pid === undefined) resolve({ code: null, signal: null, failure });
      });
    });
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  /** It has not ended, as far as its pipe tells. */
  get isThere(): boolean {
    return this.#worker.isConnected();
  }

  /** @throws ChannelClosed where it has ended; why there never was a process. */
  async begin(beginning: Omit<Beginning, "worker">): Promise<Begun> {
    try {
      return await this.#channel.call("begin", { ...beginning, worker: this.number });
    } catch (error) {
      const failure = error instanceof ChannelClosed ? (await this.ended).failure : undefined;
      throw failure ?? error;
    }
  }

  get call(): Channel<WorkerCalls>["call"] {
    return this.#channel.call.bind(this.#channel);
  }

  /** What was prepared is not to be. */
  cancel(): void {
    this.#channel.tell("cancel", undefined);
  }

  drain(): void {
    this.#channel.tell("drain", undefined);
  }

  /** @returns undefined when it does not answer in time, or not at all. */
  async ask<Name extends "prepare" | "metrics" | "dashboardPart" | "findStream" | "isReady">(
    name: Name,
    asked: Parameters<WorkerCalls[Name]>[0],
    withinMs: number,
  ): Promise<Awaited<ReturnType<WorkerCalls[Name]>> | undefined> {
    const answered = new AbortController();
    const answer = this.#channel.call(name, asked as never).catch(() => undefined);
    const late = sleep(withinMs, undefined, { signal: answered.signal, ref: false }).catch(() => undefined);
    const first = await Promise.race([answer, late]);
    answered.abort();
    return first as Awaited<ReturnType<WorkerCalls[Name]>> | undefined;
  }

  kill(): void {
    this.#worker.process.kill("SIGKILL");
  }
}
