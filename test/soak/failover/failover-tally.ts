/** Counts what clients were told, and what Perennial's log says of the attempts behind it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Visited } from "../client.ts";

/** One exchange's line, as far as it matters here. */
export interface Line {
  readonly outcome: string;
  readonly failure?: string;
  readonly attempts: readonly { readonly upstream: string; readonly failure?: string }[];
}

/** A log line may come later than the last byte of its answer. */
const LOG_WITHIN_MS = 5_000;
const WHOLE: ReadonlySet<string> = new Set(["complete", "recovered", "repaired"]);

export class FailoverTally {
  /** What clients have made of their answers, by the judge's verdict. */
  readonly verdicts = new Map<string, number>();
  readonly failures = new Map<string, number>();
  readonly problems: string[] = [];
  ended = 0;
  lines = 0;
  whole = 0;
  /** Broke in mid-text at the first attempt: nobody can save these unseen. */
  interruptedAtOnce = 0;
  /** Of those whose first attempt broke before any content: whole in the end; broken in mid-text by a later attempt; not answered. */
  readonly early = { whole: 0, interrupted: 0, failed: 0 };

  addClient({ verdict, detail, complaint, breaches }: Visited): void {
    this.ended++;
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1);
    const flaws = [...breaches, ...(complaint === undefined ? [] : [complaint])];
    const isAllowed = (verdict === "whole" || verdict === "typed error") && flaws.length === 0;
    if (!isAllowed && this.problems.length < 20) this.problems.push(`a client: ${verdict}, ${detail} ${flaws.join("; ")}`);
  }

  addLine({ outcome, failure, attempts }: Line): void {
    this.lines++;
    if (failure !== undefined) this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
    const isWhole = WHOLE.has(outcome);
    if (isWhole) this.whole++;
    if (attempts.length === 1 && outcome === "interrupted") this.interruptedAtOnce++;
    // Only what broke before content is asked again.
    if (attempts.length === 1 && outcome !== "failed") return;
    this.early[isWhole ? "whole" : outcome === "interrupted" ? "interrupted" : "failed"]++;
  }

  addOddLines(lines: readonly string[]): void {
    for (const line of lines.slice(0, 5)) this.problems.push(`Perennial logged: ${line}`);
  }

  /** Of each client there is a line. */
  async untilEqual(): Promise<void> {
    for (let waited = 0; this.lines !== this.ended && waited < LOG_WITHIN_MS; waited += 50) await sleep(50);
    const told = this.verdicts.get("whole") ?? 0;
    if (this.lines !== this.ended) this.problems.push(`${this.ended} clients, and ${this.lines} log lines`);
    if (told !== this.whole) this.problems.push(`${told} clients were given a whole answer, and the log says ${this.whole}`);
  }
}
