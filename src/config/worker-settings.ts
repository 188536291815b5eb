/** The setting for several processes: how many, what they cannot do together, and which part of a limit each of them has. */
import { availableParallelism } from "node:os";
import { z } from "zod";
import type { Config } from "./schema.ts";
import { formatSize } from "./units.ts";
import { wholeNumber } from "./values.ts";

const MOST = 64;

export const workers = z
  .union([z.literal("auto"), wholeNumber(1, MOST)], { error: `expected a whole number from 1 to ${MOST}, or auto` })
  .default(1)
  .describe(
    "How many processes serve requests, beside one that starts them and shares limits among them; auto: one for each processor core. 1: all in one process. Default: 1.",
  );

export function workerCount({ workers }: { readonly workers: number | "auto" }): number {
  return workers === "auto" ? Math.min(MOST, availableParallelism()) : workers;
}

/** What of a configuration is looked at; not made of its type, which is made of this. */
interface Checked {
  readonly workers: number | "auto";
  readonly replay: object | false;
  readonly store: object | false;
  readonly limits: { readonly maxClientConnections: number };
  readonly upstreams: readonly { readonly maxConnections?: number | undefined }[];
}

/** A setting that several workers cannot have, and why. */
export interface UnsharedProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A client that comes back may reach another worker, so what it comes back for must be where all of them find it. */
export function findUnshared(config: Checked): UnsharedProblem[] {
  const count = workerCount(config);
  if (count === 1) return [];
  const problems: UnsharedProblem[] = [];
  if (config.replay !== false && config.store === false) {
    const message = `with replay, ${count} workers need a store that all of them reach, since a client may come back to another one: set store: redis://…, or workers: 1`;
    problems.push({ path: ["workers"], message });
  }
  const tooFew = `expected at least ${count}, one for each worker (workers)`;
  if (config.limits.maxClientConnections < count) problems.push({ path: ["limits", "maxClientConnections"], message: tooFew });
  config.upstreams.forEach(({ maxConnections }, index) => {
    if (maxConnections !== undefined && maxConnections < count)
      problems.push({ path: ["upstreams", index, "maxConnections"], message: tooFew });
  });
  return problems;
}

export function refuseUnshared(config: Checked, ctx: z.RefinementCtx): void {
  for (const { path, message } of findUnshared(config)) ctx.addIssue({ code: "custom", path: [...path], message });
}

/**
 * The configuration as one worker has it: its part of what each counts by itself. The parts add up to the whole; the first workers
 * have what cannot be divided. What all count together stays whole: `maxStreams`, `maxStreamsPerKey`, `rate`.
 * @param worker its number, from 1.
 */
export function partOfWorker(config: Config, worker: number): Config {
  const count = workerCount(config);
  const part = (whole: number): number => Math.floor(whole / count) + (worker <= whole % count ? 1 : 0);
  const { limits, retry, replay, upstreams } = config;
  const { budget } = retry;
  return {
    ...config,
    limits: {
      ...limits,
      maxClientConnections: part(limits.maxClientConnections),
      maxHeldBytes: Math.max(1, part(limits.maxHeldBytes)),
    },
    retry: { ...retry, budget: { ...budget, min: part(budget.min) } },
    replay: replay && { ...replay, maxTotalBytes: Math.max(1, part(replay.maxTotalBytes)) },
    upstreams: upstreams.map((upstream) =>
      upstream.maxConnections === undefined ? upstream : { ...upstream, maxConnections: part(upstream.maxConnections) },
    ),
  };
}

/** A body that is allowed must find room in the part of the worker that it comes to. */
export function warnOfParts(config: Config): string[] {
  const count = workerCount(config);
  const { maxHeldBytes, maxBodyBytes } = config.limits;
  if (count === 1 || maxHeldBytes / count >= maxBodyBytes) return [];
  return [
    `limits.maxHeldBytes: each of ${count} workers has a part of ${formatSize(Math.floor(maxHeldBytes / count))}, less than the largest body (limits.maxBodyBytes)`,
  ];
}
