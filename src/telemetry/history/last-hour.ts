/** What happened in each of the last sixty minutes: outcomes, causes, times. Its size depends on names that are configured, not on traffic. */
import type { FailureCode } from "../../core/failure.ts";
import type { Outcome } from "../../core/outcome.ts";
import { faultOf } from "./fault.ts";
import type { CauseView, Fault, MinuteView, Percentiles, TimingView, UpstreamTally } from "./view.ts";

const MINUTES = 60;
const MINUTE_MS = 60_000;
/** "Lately" on the page. */
const LATELY = 5;
/** Times that are kept of one minute; of more, a fair sample. */
const MAX_SAMPLES = 200;

interface Samples {
  seen: number;
  readonly kept: number[];
}

interface Tally {
  attempts: number;
  failed: number;
}

interface Minute {
  /** Minutes since 1970. */
  readonly number: number;
  readonly outcomes: Partial<Record<Outcome, number>>;
  lost: number;
  /** By upstream, code and the status that was answered. */
  readonly causes: Map<string, Omit<CauseView, "count"> & { count: number }>;
  readonly tallies: Map<string, Tally>;
  readonly firstToken: Samples;
  readonly longestGap: Samples;
}

export class LastHour {
  readonly #minutes = new Map<number, Minute>();

  countOutcome(now: number, outcome: Outcome, fault: Fault | undefined): void {
    const minute = this.#at(now);
    minute.outcomes[outcome] = (minute.outcomes[outcome] ?? 0) + 1;
    if ((outcome === "failed" || outcome === "interrupted") && fault !== "request") minute.lost++;
  }

  countAttempt(now: number, upstream: string, failed: boolean): void {
    const { tallies } = this.#at(now);
    const tally = tallies.get(upstream) ?? { attempts: 0, failed: 0 };
    tally.attempts++;
    if (failed) tally.failed++;
    tallies.set(upstream, tally);
  }

  /** @param upstream undefined where none was asked. */
  countCause(now: number, upstream: string | undefined, code: FailureCode, status?: number): void {
    const { causes } = this.#at(now);
    const fault = faultOf(code, status);
    const key = JSON.stringify([upstream, code, fault]);
    const cause = causes.get(key) ?? { upstream, code, fault, count: 0 };
    cause.count++;
    causes.set(key, cause);
  }

  measure(now: number, what: "firstToken" | "longestGap", ms: number): void {
    const samples = this.#at(now)[what];
    samples.seen++;
    const place = samples.seen <= MAX_SAMPLES ? samples.kept.length : Math.floor(Math.random() * samples.seen);
    if (place < MAX_SAMPLES) samples.kept[place] = ms;
  }

  minutes(now: number): MinuteView[] {
    return this.#last(now, MINUTES).map(([number, minute]) => {
      return { at: number * MINUTE_MS, outcomes: minute?.outcomes ?? {}, lost: minute?.lost ?? 0 };
    });
  }

  /** The most frequent first. */
  causes(now: number): CauseView[] {
    const sums = new Map<string, Omit<CauseView, "count"> & { count: number }>();
    for (const [, minute] of this.#last(now, MINUTES)) {
      for (const [key, cause] of minute?.causes ?? []) {
        const sum = sums.get(key);
        if (sum === undefined) sums.set(key, { ...cause });
        else sum.count += cause.count;
      }
    }
    return [...sums.values()].sort((a, b) => b.count - a.count);
  }

  tallies(now: number): UpstreamTally[] {
    const sums = new Map<string, Tally & { readonly name: string; readonly lately: Tally }>();
    this.#last(now, MINUTES).forEach(([, minute], index) => {
      for (const [name, { attempts, failed }] of minute?.tallies ?? []) {
        const sum = sums.get(name) ?? { name, attempts: 0, failed: 0, lately: { attempts: 0, failed: 0 } };
        for (const tally of index >= MINUTES - LATELY ? [sum, sum.lately] : [sum]) {
          tally.attempts += attempts;
          tally.failed += failed;
        }
        sums.set(name, sum);
      }
    });
    return [...sums.values()];
  }

  timing(now: number, what: "firstToken" | "longestGap"): TimingView {
    const minutes = this.#last(now, MINUTES).map(([, minute]) => minute?.[what]);
    return {
      hour: percentilesOf(minutes.flatMap((samples) => samples?.kept ?? [])),
      minutes: minutes.map((samples) => percentilesOf(samples?.kept ?? []) ?? null),
    };
  }

  #at(now: number): Minute {
    const number = Math.floor(now / MINUTE_MS);
    const known = this.#minutes.get(number);
    if (known !== undefined) return known;
    const minute: Minute = {
      number,
      outcomes: {},
      lost: 0,
      causes: new Map(),
      tallies: new Map(),
      firstToken: { seen: 0, kept: [] },
      longestGap: { seen: 0, kept: [] },
    };
    this.#minutes.set(number, minute);
    // The clock may have been put back: whatever is not of this hour goes.
    for (const old of this.#minutes.keys()) if (old <= number - MINUTES || old > number) this.#minutes.delete(old);
    return minute;
  }

  /** The oldest first; undefined where nothing happened. */
  #last(now: number, count: number): [number: number, minute: Minute | undefined][] {
    const last = Math.floor(now / MINUTE_MS);
    return Array.from({ length: count }, (_, index) => {
      const number = last - count + 1 + index;
      return [number, this.#minutes.get(number)];
    });
  }
}

function percentilesOf(values: readonly number[]): Percentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}
