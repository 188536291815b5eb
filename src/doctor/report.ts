/** What the doctor found, as a list for people. */
import { QUESTION_COUNT } from "../balance/prove-server.ts";
import { printSettings } from "../config/print-settings.ts";
import type { Facts } from "./facts.ts";
import type { Finding, Mark, Settings } from "./finding.ts";

/** One upstream's verdict. */
export interface Verdict {
  readonly name: string;
  readonly baseUrl: string;
  readonly findings: readonly Finding[];
  /** The upstream as it should stand in the file. */
  readonly proposal: Settings;
  readonly spent: Spent;
}

/** What the examination cost. */
export interface Spent {
  readonly questions: number;
  /** As the server counted them; undefined where it did not. */
  readonly tokens: number | undefined;
  /** Questions whether it goes on with an answer, of eight tokens each at most; their tokens are not counted. */
  readonly continuations: number;
}

export function spentOn({ streamed, unstreamed, continuation }: Facts): Spent {
  const asked = [streamed, unstreamed].flatMap((each) => each ?? []);
  const counts = asked.flatMap(({ recording }) => {
    const total = [...`${recording.start}\n${recording.tail}`.matchAll(/"total_tokens"\s*:\s*(\d+)/g)].at(-1)?.[1];
    return total === undefined ? [] : [Number(total)];
  });
  const tokens = counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
  const questions = asked.filter(({ recording }) => recording.status !== undefined).length;
  return { questions, tokens, continuations: continuation === undefined ? 0 : QUESTION_COUNT };
}

const MARKS: Readonly<Record<Mark, string>> = { ok: "✔", note: "▲", fault: "✖" };

export function hasFault(verdicts: readonly Verdict[]): boolean {
  return verdicts.some(({ findings }) => findings.some(({ mark }) => mark === "fault"));
}

export function printVerdict({ name, baseUrl, findings, proposal, spent }: Verdict): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, mark, says, advice }) => {
    const line = `${MARKS[mark]} ${check.padEnd(width)}  ${plain(says)}`;
    return advice === undefined ? [line] : [line, `  ${" ".repeat(width)}  → ${plain(advice)}`];
  });
  const tokens = spent.tokens === undefined ? "" : `, ${spent.tokens} tokens`;
  const begun = spent.continuations === 0 ? "" : `; and ${spent.continuations} answers to go on with, of 8 tokens each at most`;
  const asked =
    spent.questions === 0
      ? "nothing, since nothing was asked"
      : `${spent.questions} small question${spent.questions === 1 ? "" : "s"}${tokens}${begun}`;
  const yaml = printSettings({ upstreams: [proposal] });
  return `${name === "main" ? "" : `${name}: `}${baseUrl}\n\n${lines.join("\n")}\n\nThis cost: ${asked}.\n\nProposed for perennial.yaml:\n\n${yaml}`;
}

/** A server's own words must not move the cursor. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "�").slice(0, 500);
}
