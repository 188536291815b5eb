/** What a hostile soak has shown, as lines for a person. */
import type { Check } from "../leaks.ts";
import type { HealthyEnd, HealthyVisit } from "./healthy-client.ts";

export interface HostileSoak {
  readonly seconds: number;
  readonly hostile: ReadonlyMap<string, number>;
  readonly healthy: readonly HealthyVisit[];
  /** Resident memory of Perennial at its highest, in bytes. */
  readonly peakRss: number;
  readonly checks: readonly Check[];
  /** Whatever else is wrong, in words. */
  readonly problems: readonly string[];
}

/** Perennial may turn a newcomer away when it is full, but it is not to be full all the time. */
const MAX_OVERLOADED = 0.1;

export function problemsOf(soak: HostileSoak): string[] {
  const count = (end: HealthyEnd): number => soak.healthy.filter((visit) => visit.end === end).length;
  const problems = [...soak.problems];
  if (count("whole") === 0) problems.push("no healthy stream was whole");
  if (count("broken") > 0) problems.push(`${count("broken")} healthy streams were broken without a word`);
  if (count("an error") > 0) problems.push(`${count("an error")} healthy streams were told an error`);
  if (count("overloaded") > soak.healthy.length * MAX_OVERLOADED)
    problems.push(`${count("overloaded")} healthy clients were refused`);
  for (const { name, passed, after, limit } of soak.checks) if (!passed) problems.push(`${name}: ${after}, at most ${limit}`);
  return problems;
}

export function printHostileSoak(soak: HostileSoak): string {
  const { healthy } = soak;
  const ends = new Map<string, number>();
  for (const { end } of healthy) ends.set(end, (ends.get(end) ?? 0) + 1);
  const first = healthy.map(({ firstByteMs }) => firstByteMs).filter((ms) => !Number.isNaN(ms));
  first.sort((a, b) => a - b);
  const at = (share: number): string => (first[Math.floor(share * (first.length - 1))] ?? Number.NaN).toFixed(0);
  const problems = problemsOf(soak);
  const samples = healthy.filter(({ end }) => end !== "whole").slice(0, 5);
  return [
    `${soak.seconds.toFixed(0)} s of hostility, heap of 512 MiB, at most ${(soak.peakRss / 1024 ** 2).toFixed(0)} MB resident`,
    `healthy clients: ${[...ends].map(([end, count]) => `${count} ${end}`).join(", ") || "none"}; first byte p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    ...samples.map(({ detail }) => `  ${detail}`),
    `hostile clients: ${[...soak.hostile].map(([name, count]) => `${name} ${count}`).join("; ")}`,
    ...soak.checks.map(
      ({ name, before, after, limit, passed }) => `${passed ? "ok  " : "FAIL"} ${name}: ${before} → ${after} (at most ${limit})`,
    ),
    problems.length === 0 ? "passed" : `FAILED:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
  ].join("\n");
}
