/** Disagreements, one of each kind kept whole and the rest counted. */

import type { Judged } from "./arena.ts";
import type { Case } from "./case.ts";
import { packCase } from "./case.ts";
import type { Disagreement } from "./judge.ts";

export interface Finding {
  readonly played: Case;
  readonly number: number;
  readonly disagreement: Disagreement;
  count: number;
}

export class Findings {
  readonly byKind = new Map<string, Finding>();

  add(number: number, played: Case, disagreement: Disagreement): void {
    const kind = `${played.dialect}: ${disagreement.kind}`;
    const known = this.byKind.get(kind);
    if (known === undefined) this.byKind.set(kind, { played, number, disagreement, count: 1 });
    else known.count++;
  }
}

/** A disagreement in full: what happened, the smallest bytes that show it, and the commands to see it again. */
export function describe(finding: Finding, smallest: Case, judged: Judged, seed: number): string {
  const { played, number, disagreement, count } = finding;
  const { told } = judged;
  return [
    `${played.dialect}: ${disagreement.kind}   (${count} times)`,
    `  a strict reader: ${disagreement.detail}`,
    `  what was done: ${played.done.join("; ") || "nothing"}`,
    `  upstream: ${JSON.stringify(smallest.body.toString("latin1"))}`,
    `            ${smallest.framing}, ends ${smallest.end}, split at [${smallest.splits}], n=${smallest.choices}`,
    `  client:   ${told.status ?? "no response"}, ends ${told.end}: ${JSON.stringify(told.body.toString("latin1").slice(0, 2_000))}`,
    `  again:    npm run fuzz -- --seed ${seed} --case ${number}`,
    `  smallest: npm run fuzz -- --replay ${packCase(smallest)}`,
  ].join("\n");
}
