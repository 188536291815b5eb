/** This machine's clock beside the upstream's: dates in retry-after, and certificates, are read by it. */
import type { Facts } from "../facts.ts";
import { type Finding, note, ok } from "../finding.ts";

/** `date` has whole seconds, and an answer takes its time. */
const TOLERATED_MS = 60_000;

export function checkClock({ models }: Facts): Finding[] {
  const date = models?.headers.date;
  const theirs = typeof date === "string" ? Date.parse(date) : Number.NaN;
  if (models === undefined || Number.isNaN(theirs)) return [];
  const apart = models.at - theirs;
  if (Math.abs(apart) <= TOLERATED_MS) return [ok("clock", "the clocks agree")];
  const minutes = Math.round(Math.abs(apart) / 60_000);
  const says = `this machine's clock is ${minutes} min ${apart > 0 ? "ahead of" : "behind"} the server's`;
  return [note("clock", says, "set both by NTP")];
}
