/** docs/conformance.md, made of the results of a run. */
import { FAULT_GROUPS } from "../../src/chaos/registry.ts";
import { MISLED, type Verdict } from "./judge.ts";
import type { Result } from "./run-cases.ts";
import { type Score, worstOf } from "./score.ts";

export interface PageOptions {
  /** In the order of the columns. */
  readonly targets: readonly string[];
  readonly scores: readonly Score[];
  readonly results: readonly Result[];
  readonly versions: readonly string[];
  readonly date: Date;
}

const WORD: Readonly<Record<Verdict, string>> = {
  whole: "whole",
  "typed error": "error",
  "bare status": "status",
  "transport error": "broken",
  hang: "hang",
  "torn event": "torn",
  "wrong text": "wrong",
  "silent truncation": "silent",
};

export function renderPage({ targets, scores, results, versions, date }: PageOptions): string {
  const perTarget = results.length / targets.length;
  return `# Conformance

What is a client told when the LLM server behind its gateway fails? \`npm run conformance\` sends a request for every fault of the
chaos server (\`perennial chaos --list\`) through each target, reads the reply by bare HTTP, and judges what a client would make of it.
This page is what it wrote on ${date.toISOString().slice(0, 10)} with ${versions.join(" and ")}: ${perTarget} cases for each target.

\`\`\`sh
npm ci && npm run conformance                                        # writes this page; nginx is left out when it is not installed
npm run conformance -- --target mine=http://127.0.0.1:4000/v1        # your gateway too; --help tells how
\`\`\`

${renderScores(scores)}

- **direct**: the client talks to the failing server itself. **nginx**: \`proxy_buffering off\`, \`proxy_http_version 1.1\` and the same
  short read timeout as Perennial, else out of the box. **perennial**: its own defaults, but short timeouts.
- The run fails when Perennial, in any case, does not keep its contract, which is stricter than the score: whole where the answer
  can be had, else an error event with a code or an HTTP error (the upstream's own refusal as it came), never a broken connection,
  and never a byte after the end.

## How it is judged

| word | the client got | misled |
| --- | --- | --- |
| whole | all of the right answer (text, reasoning, tool calls), every choice with a good \`finish_reason\` | no |
| error | an HTTP status of 400 or more with a JSON body, or an event with a top-level \`error\`, on which clients raise | no |
| status | an HTTP status of 400 or more without a reason in JSON | no |
| broken | a connection that broke, which every HTTP client reports | no |
| hang | nothing more, and no end: comments and blank lines are nothing | **yes** |
| torn | an event, or a JSON answer, that does not parse | **yes** |
| wrong | text that is not the beginning of the right answer: repeated, out of order, or spoiled | **yes** |
| silent | a regular end, and not the whole answer. Also: an empty 200, a 200 whose body is an error or \`null\`, and errors in shapes that the common SDKs skip (FastChat's \`error_code\`, a flat \`object: "error"\`, a stray \`error:\` line, \`finish_reason: "error"\`) | **yes** |

Each fault comes streamed and not streamed, with four ways to mark the end of a body: chunked, chunked with \`connection: close\`,
content-length, and the end of the connection. Faults that send no HTTP response (\`close\`, \`reset-before-headers\`, \`garbage\`,
\`stall-headers\`), and those that need one framing (\`wrong-length\`; \`hold-open\` and \`stall-comments\` where not streamed), run once.
\`long\`, \`flood\`, \`big-event\`, \`slow\` and \`429-date\` run with small arguments. Faults that are whole answers in unusual clothes
(\`crlf\`, \`no-done\`, \`tools\`, …) count as right only when they arrive whole.

## Fault by fault

Streamed / not streamed, each in its worst framing.

${FAULT_GROUPS.map(({ title, faults }) => renderFaults(title, faults, targets, results)).join("\n\n")}

## Recovery

The first attempt meets the fault, before any content where the fault lets one choose; the second would be whole.
Streamed / not streamed. Nobody can recover unseen from \`two-choices\`, whose stream begins with content, and from \`tools-cut\` only who
holds a tool call back until it is whole; a 4xx and \`no-retry\` are not to be tried again; and where nothing is streamed, only the time
for all of it can tell \`stall-headers\` and \`stall-comments\` from a slow model.

${renderRecoveries(targets, results)}
`;
}

function renderScores(scores: readonly Score[]): string {
  return table(
    ["target", "not misled", "whole", "error", "broken or bare status", "misled", "recovered"],
    scores.map((score) => [
      `**${score.target}**`,
      `**${score.percent.toFixed(1)} %**`,
      score.whole,
      score.typed,
      score.noticed,
      score.misled,
      `${score.recovered} of ${score.recoveries}`,
    ]),
  );
}

interface Described {
  readonly name: string;
  readonly summary: string;
}

function renderFaults(
  title: string,
  faults: readonly Described[],
  targets: readonly string[],
  results: readonly Result[],
): string {
  const rows = faults.map(({ name, summary }) => [
    `\`${name}\``,
    escapeCell(summary),
    ...targets.map((target) => cell(results.filter((one) => isOf(one, target, name, "fault")))),
  ]);
  return `### ${title}\n\n${table(["fault", "what it does", ...targets], rows)}`;
}

function renderRecoveries(targets: readonly string[], results: readonly Result[]): string {
  const names = [...new Set(results.filter((one) => one.case.kind === "recovery").map((one) => one.case.fault))];
  const rows = names.map((name) => [
    `\`${name}\`, then \`ok\``,
    ...targets.map((target) => cell(results.filter((one) => isOf(one, target, name, "recovery")))),
  ]);
  return table(["fault", ...targets], rows);
}

function isOf({ target, case: one }: Result, wanted: string, fault: string, kind: string): boolean {
  return target === wanted && one.fault === fault && one.kind === kind;
}

function cell(results: readonly Result[]): string {
  const [streamed, plain] = [true, false].map((wanted) => word(results.filter(({ case: one }) => one.streamed === wanted)));
  return streamed === plain ? `${streamed}` : `${streamed} / ${plain}`;
}

function word(results: readonly Result[]): string {
  const worst = worstOf(results);
  if (worst === undefined) return "–";
  return MISLED.has(worst.verdict) ? `**${WORD[worst.verdict]}**` : WORD[worst.verdict];
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
