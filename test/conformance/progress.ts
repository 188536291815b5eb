/** The live line of a run: how far it is, and what the clients have been told so far. */
import pc from "picocolors";
import { type CaseVerdict, MISLED } from "./judge.ts";
import type { Result } from "./run-cases.ts";

export const MARK = { whole: pc.green("●"), error: pc.yellow("▲"), noticed: pc.cyan("◆"), misled: pc.red("✖") };

export function markOf(verdict: CaseVerdict): string {
  if (MISLED.has(verdict)) return MARK.misled;
  return verdict === "whole" ? MARK.whole : verdict === "typed error" ? MARK.error : MARK.noticed;
}

const BAR = 24;

export interface Progress {
  add(result: Result): void;
  /** Leaves the line as it is, for the next target. */
  end(): void;
}

export function createProgress(target: string, total: number, out: NodeJS.WriteStream): Progress {
  const counts = new Map<string, number>();
  const startedAt = Date.now();
  let done = 0;
  const line = (): string => {
    const full = Math.round((BAR * done) / total);
    const tallies = Object.values(MARK).map((mark) => `${mark} ${String(counts.get(mark) ?? 0).padEnd(4)}`);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
    return `  ${pc.bold(target.padEnd(12))} ${"━".repeat(full)}${pc.dim("─".repeat(BAR - full))} ${String(done).padStart(4)}/${total}  ${tallies.join(" ")} ${pc.dim(`${seconds} s`)}`;
  };
  let shownAt = 0;
  return {
    add({ verdict }) {
      done++;
      const mark = markOf(verdict);
      counts.set(mark, (counts.get(mark) ?? 0) + 1);
      if (!out.isTTY || (Date.now() - shownAt < 80 && done < total)) return;
      shownAt = Date.now();
      out.write(`\r${line()}\u001b[K`);
    },
    end() {
      out.write(out.isTTY ? `\r${line()}\u001b[K\n` : `${line()}\n`);
    },
  };
}
