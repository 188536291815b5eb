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

/** Raw, so that those of several processes can be added up. */
export interface Minute {
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

  /** What several processes have counted. */
  static sum(all: readonly (readonly Minute[])[]): LastHour {
    const sum = new LastHour();
    for (const [number, minutes] of Map.groupBy(all.flat(), ({ number }) => number))
      sum.#minutes.set(number, sumMinutes(minutes));
    return sum;
  }

  /** All that is known; to be read, and not to be kept. */
  get raw(): readonly Minute[] {
    return [...this.#minutes.values()];
  }

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
    const minute = emptyMinute(number);
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

function emptyMinute(number: number): Minute {
  return {
    number,
    outcomes: {},
    lost: 0,
    causes: new Map(),
    tallies: new Map(),
    firstToken: { seen: 0, kept: [] },
    longestGap: { seen: 0, kept: [] },
  };
}

function sumMinutes(minutes: readonly Minute[]): Minute {
  const sum = {
    ...emptyMinute(minutes[0]?.number ?? 0),
    firstToken: joinSamples(minutes.map(({ firstToken }) => firstToken)),
    longestGap: joinSamples(minutes.map(({ longestGap }) => longestGap)),
  };
  for (const { outcomes, lost, causes, tallies } of minutes) {
    sum.lost += lost;
    for (const [outcome, count] of Object.entries(outcomes) as [Outcome, number][]) {
      sum.outcomes[outcome] = (sum.outcomes[outcome] ?? 0) + count;
    }
    for (const [key, cause] of causes) {
      sum.causes.set(key, { ...cause, count: cause.count + (sum.causes.get(key)?.count ?? 0) });
    }
    for (const [name, { attempts, failed }] of tallies) {
      const before = sum.tallies.get(name) ?? { attempts: 0, failed: 0 };
      sum.tallies.set(name, { attempts: before.attempts + attempts, failed: before.failed + failed });
    }
  }
  return sum;
}

/** The same share of what each has seen: of a fair sample the first part is a fair sample too. */
function joinSamples(all: readonly Samples[]): Samples {
  const share = Math.min(1, ...all.filter(({ seen }) => seen > 0).map(({ seen, kept }) => kept.length / seen));
  return {
    seen: all.reduce((sum, { seen }) => sum + seen, 0),
    kept: all.flatMap(({ seen, kept }) => kept.slice(0, Math.round(share * seen))),
  };
}

function percentilesOf(values: readonly number[]): Percentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}
