/** One row of the table: the same agent in the same scenario, directly and through Perennial. */
import type { AgentRun } from "./agent.ts";
import type { AgentName } from "./install.ts";
import type { Scenario } from "./scenarios.ts";

export interface Outcome extends AgentRun {
  /** The tool was run with all that it was to be called with; true where there is no tool. */
  readonly toolRan: boolean;
  /** Requests that the upstream got. */
  readonly asked: number;
  /** Other hosts that the agent wanted to reach. */
  readonly elsewhere: readonly string[];
}

export interface Row {
  readonly agent: AgentName;
  readonly scenario: Scenario;
  readonly direct: Outcome;
  readonly through: Outcome;
}

/** What the client gets less of, or is told less of, through Perennial. Empty: rule 0 holds. */
export function complaintsOf({ scenario, direct, through }: Row): string[] {
  const gotDirect = direct.gotAnswer && direct.toolRan;
  const gotThrough = through.gotAnswer && through.toolRan;
  const complaints: string[] = [];
  if (gotDirect && !gotThrough) complaints.push("gets less");
  if (direct.toldError && !gotThrough && !through.toldError) complaints.push("is told less");
  // Each costs its user the tokens of an answer; only an outage and a break are to be asked about again.
  const isHealthy = scenario !== "outage" && scenario !== "break in mid-answer";
  if (isHealthy && through.asked > direct.asked) complaints.push("pays more often");
  if (direct.elsewhere.length + through.elsewhere.length > 0) complaints.push("asked another host");
  return complaints;
}

export function printTable(rows: readonly Row[]): string {
  const show = ({ gotAnswer, toolRan, toldError, isEndless, seconds, asked }: Outcome): string => {
    const less = isEndless ? "not done" : toldError ? "an error" : "**less, without an error**";
    const got = gotAnswer && toolRan ? "whole" : gotAnswer ? "no tool" : less;
    return `${got}, ${seconds.toFixed(0)} s, ${asked} asked`;
  };
  const lines = rows.map((row) => {
    const verdict = complaintsOf(row).join(", ");
    return `| ${row.agent} | ${row.scenario} | ${show(row.direct)} | ${show(row.through)} | ${verdict === "" ? "" : `**${verdict}**`} |`;
  });
  return ["| agent | | directly | through Perennial | |", "|---|---|---|---|---|", ...lines].join("\n");
}
