/** The line of an exchange for people: a mark, what became of it, how long it took, and what was saved. */

/** A log line's fields, as createExchangeLog writes them. */
export type Fields = Readonly<Record<string, unknown>>;

/** One mark for each outcome. */
export const OUTCOME_MARKS: Readonly<Record<string, string>> = {
  complete: "●",
  recovered: "↻",
  repaired: "✚",
  resumed: "↻",
  cancelled: "○",
  interrupted: "▲",
  failed: "✖",
  rejected: "⊘",
};

/** Wide enough for the longest outcome. */
const OUTCOME_WIDTH = 11;

/** @param show quotes what is not harmless: a client's text must not move the cursor. */
export function exchangeLine(log: Fields, show: (value: unknown) => string): string {
  const { outcome, model, dialect, failure, status, warning, durationMs, firstTokenMs, limitedMs, worker, id } = log;
  const name = String(outcome);
  const first = typeof firstTokenMs === "number" ? ` (first word ${seconds(firstTokenMs)})` : "";
  return [
    `${OUTCOME_MARKS[name] ?? "·"} ${name.padEnd(OUTCOME_WIDTH)}`,
    show(model ?? dialect),
    typeof durationMs === "number" ? `${seconds(durationMs)}${first}` : undefined,
    failure === undefined ? undefined : `${failure}${status === undefined ? "" : ` ${status}`}`,
    savedFrom(log),
    typeof limitedMs === "number" ? `waited ${seconds(limitedMs)} for a rate limit` : undefined,
    warning === undefined ? undefined : `▲ ${show(warning)}`,
    worker === undefined ? undefined : `worker ${worker}`,
    id,
  ]
    .filter((part) => part !== undefined && part !== "")
    .join("  ");
}

/** What the client would have seen without Perennial; and for a failure, what was tried. */
function savedFrom({ outcome, attempts }: Fields): string | undefined {
  if (outcome === "repaired") return "what it lacked was supplied";
  const failed = (Array.isArray(attempts) ? attempts : []).filter((attempt) => attempt.failure !== undefined);
  if (failed.length === 0) return undefined;
  const causes = failed.map(({ failure, status }) => (failure === "upstream_status" ? `HTTP ${status}` : String(failure)));
  const list = [...new Set(causes)].join(", ");
  if (outcome === "recovered" || outcome === "resumed") return `saved from ${list} at attempt ${failed.length + 1}`;
  return failed.length > 1 ? `${failed.length} attempts: ${list}` : undefined;
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
