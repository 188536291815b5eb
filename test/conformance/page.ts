/** docs/conformance.md, made of the results of a run. */
import { CONTINUATIONS, FAULT_GROUPS } from "../../src/chaos/registry.ts";
import type { Case } from "./cases.ts";
import { DIALECTS } from "./dialects.ts";
import { type CaseVerdict, MISLED } from "./judge.ts";
import type { Result } from "./run-cases.ts";
import { isServing, resultsIn, type Score, scoreOf, wholeOf, worstOf } from "./score.ts";

export interface PageOptions {
  /** In the order of the columns. */
  readonly targets: readonly string[];
  readonly scores: readonly Score[];
  readonly results: readonly Result[];
  readonly versions: readonly string[];
  readonly date: Date;
}

const WORD: Readonly<Record<CaseVerdict, string>> = {
  whole: "whole",
  "typed error": "error",
  "bare status": "status",
  "transport error": "broken",
  hang: "hang",
  "torn event": "torn",
  "wrong text": "wrong",
  "silent truncation": "silent",
  "no service": "no service",
};

export function renderPage({ targets, scores, results, versions, date }: PageOptions): string {
  const perTarget = resultsIn("chat", results).length / targets.length;
  const others = DIALECTS.filter((dialect) => dialect !== "chat" && resultsIn(dialect, results).length > 0);
  const chat = resultsIn("chat", results);
  return `# Conformance

What is a client told when the LLM server behind its gateway fails? \`npm run conformance\` sends a request for every fault of the
chaos server (\`perennial chaos --list\`) through each target, reads the reply by bare HTTP, and judges what a client would make of it.
This page is what it wrote on ${date.toISOString().slice(0, 10)} with ${versions.join(" and ")}: ${perTarget} cases for each target, and
${others.reduce((sum, dialect) => sum + resultsIn(dialect, results).length / targets.length, 0)} in the other APIs.

\`\`\`sh
npm ci && npm run conformance                                        # writes this page; nginx is left out when it is not installed
npm run conformance -- --target mine=http://127.0.0.1:4000/v1        # your gateway too; --help tells how
npm run conformance -- --only-target perennial --case 'truncate streamed chunked'      # one verdict again, with its bytes
\`\`\`

${renderScores(scores)}

- **direct**: the client talks to the failing server itself. **nginx**: \`proxy_buffering off\`, \`proxy_http_version 1.1\` and the same
  short read timeout as Perennial, else out of the box. **perennial**: its own defaults, but short timeouts.
- **not misled**: the share of the faults after which the client knew what it had. **delivered**: the share of the cases in which the whole
  answer can be had (a whole answer in unusual clothes, or a fault before the first content and a healthy second attempt) that arrived whole. Errors count
  only while the target serves: between the cases it is asked healthy requests, and what it refuses while it refuses those is _no service_.
- The run fails when Perennial, in any case, does not keep its contract, which is stricter than the score: whole where the answer
  can be had, else an error event with a code or an HTTP error (the upstream's own refusal as it came), never a broken connection,
  and never a byte after the end.

## The other APIs

The same faults where they make sense, chunked, judged as the API's own SDKs read it: responses are whole with \`response.completed\`, messages with
a \`stop_reason\`. Not misled / delivered.

${table(
  ["API", ...targets],
  others.map((dialect) => [dialect, ...targets.map((target) => twoNumbers(target, resultsIn(dialect, results)))]),
)}

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
| no service | an error, while a healthy request was answered with an error too: it counts neither as not misled nor as delivered | – |
| silent | a regular end, and not the whole answer. Also: an empty 200, a 200 whose body is an error or \`null\`, and errors in shapes that the common SDKs skip (FastChat's \`error_code\`, a flat \`object: "error"\`, a stray \`error:\` line, \`finish_reason: "error"\`) | **yes** |

Each fault comes streamed and not streamed, with four ways to mark the end of a body: chunked, chunked with \`connection: close\`,
content-length, and the end of the connection. Faults that send no HTTP response (\`close\`, \`reset-before-headers\`, \`garbage\`,
\`stall-headers\`), and those that need one framing (\`wrong-length\`; \`hold-open\` and \`stall-comments\` where not streamed), run once.
\`long\`, \`flood\`, \`big-event\`, \`slow\` and \`429-date\` run with small arguments. Faults that are whole answers in unusual clothes
(\`crlf\`, \`no-done\`, \`tools\`, …) count as right only when they arrive whole.

## Fault by fault

Streamed / not streamed, each in its worst framing.

${FAULT_GROUPS.map(({ title, faults }) => renderFaults(title, faults, targets, chat)).join("\n\n")}

## Recovery

The first attempt meets the fault, before any content where the fault lets one choose; the second would be whole.
Streamed / not streamed. Nobody can recover unseen from \`two-choices\`, whose stream begins with content, and from \`tools-cut\` only who
holds a tool call back until it is whole; a 4xx, \`no-retry\` and \`error-field\` (a prompt that is too long) are not to be tried again; one that
shows signs of life (\`stall-comments\`) is at work, and would work twice; and where nothing is streamed, only the time for all of it can tell
\`stall-headers\` from a slow model.

${renderRecoveries(targets, chat)}

## Failover

The first of two upstreams meets the fault, each time and before any content where the fault lets one choose; the second is whole.
**direct**: the client talks to the first alone. **nginx**: the second server is \`backup\`, with \`proxy_next_upstream\` for everything it
knows and \`non_idempotent\`. **perennial**: two upstreams in its list, and nothing else set. A 401 is to the client's own key, which no
other upstream is to see. Streamed / not streamed.

${summary(targets, "failover", results)}

${renderFailovers(targets, results)}

## Broken in the middle, and resumed

A chat, a completion or a message breaks off after twelve events, at temperature 0; asked for the rest, the upstream does one of these
things. **perennial**: with \`recovery: continue\`. What does not belong to the answer must not reach the client: then it is an error, as
it is without. Nothing else here can be told to go on with an answer. The worst of the three APIs.

${summary(targets, "resumed", results)}

${renderResumed(targets, results)}
`;
}

function summary(targets: readonly string[], kind: Case["kind"], results: readonly Result[]): string {
  const told = targets.flatMap((target) => {
    const one = wholeOf(target, kind, results);
    return one === undefined ? [] : [`- **${target}**: ${one}`];
  });
  return told.join("\n");
}

function renderFailovers(targets: readonly string[], results: readonly Result[]): string {
  const shown = targets.filter((target) => wholeOf(target, "failover", results) !== undefined);
  const names = [...new Set(results.filter((one) => one.case.kind === "failover").map((one) => one.case.fault))];
  const rows = names.map((name) => [
    `\`${name}\` at the first`,
    ...shown.map((target) => cell(results.filter((one) => isOf(one, target, name, "failover")))),
  ]);
  return table(["fault", ...shown], rows);
}

function renderResumed(targets: readonly string[], results: readonly Result[]): string {
  const shown = targets.filter((target) => wholeOf(target, "resumed", results) !== undefined);
  const rows = CONTINUATIONS.faults.map(({ name, summary }) => [
    `\`${name}\``,
    escapeCell(summary.replace("asked for the rest of an answer: ", "")),
    ...shown.map((target) => word(results.filter((one) => isOf(one, target, name, "resumed")))),
  ]);
  return table(["the rest", "what it does", ...shown], rows);
}

function renderScores(scores: readonly Score[]): string {
  return table(
    ["target", "not misled", "delivered", "whole", "error", "broken or bare status", "misled", "recovered"],
    scores.map((score) => [
      `**${score.target}**`,
      isServing(score) ? `**${score.percent.toFixed(1)} %**` : "**no service**",
      `**${score.deliveredPercent.toFixed(1)} %**`,
      score.whole,
      score.typed,
      score.noticed,
      score.misled,
      `${score.recovered} of ${score.recoveries}`,
    ]),
  );
}

function twoNumbers(target: string, results: readonly Result[]): string {
  const { cases, percent, deliveredPercent } = scoreOf(target, results);
  return cases === 0 ? "–" : `${percent.toFixed(1)} % / ${deliveredPercent.toFixed(1)} %`;
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
