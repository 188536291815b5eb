/** What became of the answers that broke in the middle: gone on, or told as broken, and by which rule. */
import type { ExchangeLine } from "../perennial-process.ts";

/** What no answer can go on from, whoever is asked: the beginning is too short, or how it broke makes the beginning doubtful. */
const INELIGIBLE: ReadonlySet<string> = new Set(["too-short", "failure", "finished"]);

export class RecoveryTally {
  resumed = 0;
  paidTwice = 0;
  /** Not gone on, by rule. */
  readonly rules = new Map<string, number>();
  /** The clients whose answers could not go on. */
  readonly ineligible: string[] = [];

  addLine({ model, outcome, seam, paidTwice }: ExchangeLine): void {
    this.paidTwice += paidTwice?.tokens ?? 0;
    if (outcome === "resumed") this.resumed++;
    if (seam === undefined) return;
    this.rules.set(seam, (this.rules.get(seam) ?? 0) + 1);
    if (INELIGIBLE.has(seam) && model !== undefined) this.ineligible.push(model);
  }

  /** Broken in the middle, and lost, though they might have gone on. */
  get lost(): number {
    return [...this.rules].reduce((sum, [rule, count]) => (INELIGIBLE.has(rule) ? sum : sum + count), 0);
  }

  get eligible(): number {
    return this.resumed + this.lost;
  }
}
