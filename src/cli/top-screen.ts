/** What the dashboard shows, as lines of a terminal. */
import type { RateSnapshot } from "../balance/rate/rate-policy.ts";
import { OUTCOME_MARKS } from "../telemetry/exchange-line.ts";
import type { DashboardView, StreamView, UpstreamView } from "../telemetry/history/view.ts";

const MARKS: Readonly<Record<string, string>> = {
  held: "…",
  queued: "…",
  waiting: "…",
  retrying: "↻",
  flowing: "▸",
  ...OUTCOME_MARKS,
};

/** @param rows and columns of the terminal: no line is wider, and there are no more. */
export function topScreen(view: DashboardView, rows: number, columns: number): string[] {
  const { open, today, total, causes, recent, upstreams } = view;
  const saved = `${today.recovered} recovered, ${today.resumed} resumed, ${today.repaired} repaired`;
  const lost = `${today.interrupted} interrupted, ${today.failed} failed`;
  const lines = [
    `perennial · ${upstreams.map(({ name, host }) => `${name} ${host}`).join(", ")}${view.warm ? "" : " (not warm yet)"}`,
    `open ${open.count}: ${open.flowing} flow at ${Math.round(open.perSecond)} characters a second, ${open.waiting} wait, ${open.retrying} retry, ${open.held} held, ${open.queued} queue`,
    `today ${today.total}: ${saved}; ${lost} (${total} since the start)`,
    ...causes.slice(0, 3).map(({ upstream, code, fault, count }) => `${count} × ${code} at ${upstream ?? "-"}: ${FAULTS[fault]}`),
    ...upstreams.flatMap(restLines).slice(0, MAX_RESTS),
    ...[...view.rates]
      .sort((a, b) => b.waiting - a.waiting)
      .slice(0, MAX_RATES)
      .map(rateLine),
    "",
    ...open.streams.map(streamLine),
    ...recent.map(streamLine),
  ];
  return lines.slice(0, Math.max(1, rows - 1)).map((line) => harmless(line).slice(0, columns));
}

const MAX_RESTS = 6;

/** What is not asked now, why, and until when. */
function restLines({ name, rests, keys }: UpstreamView): string[] {
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  return [
    ...rests.map(({ part, why, failure, status, lastedMs, waitMs, isAsked, waiting }) => {
      const what = `${why === "breaker" ? "breaker open, " : ""}${failure}${status === undefined ? "" : ` ${status}`}`;
      const next = isAsked ? "asked now" : waitMs > 0 ? `asked again in ${seconds(waitMs)}` : "asked by the next request";
      return `out: ${name}${part === undefined ? "" : ` ${part}`}: ${what}, for ${seconds(lastedMs)}; ${next}; ${waiting} wait`;
    }),
    ...keys.flatMap(({ number, rest }) =>
      rest === undefined
        ? []
        : [`out: ${name} key ${number}: ${rest.why}, ${rest.status}; tried again in ${seconds(rest.waitMs)}`],
    ),
  ];
}

/** Limits of very many keys would leave no room for the streams: those that are waited for come first. */
const MAX_RATES = 6;
const UNITS = new Map([
  [1_000, "s"],
  [60_000, "m"],
  [3_600_000, "h"],
  [86_400_000, "d"],
]);

/** What is used of the limits of an upstream, or of a client's key. */
function rateLine({ scope, name, limits, waiting, heldMs }: RateSnapshot): string {
  const used = limits.map(({ what, model, limit, perMs, used }) => {
    const per = perMs === undefined ? "" : `/${UNITS.get(Math.round(perMs)) ?? `${Math.round(perMs)} ms`}`;
    return `${used} of ${limit}${per} ${what}${model === undefined ? "" : ` for ${model}`}`;
  });
  const held = heldMs > 0 ? [`held for ${(heldMs / 1_000).toFixed(1)} s`] : [];
  return `rate: ${scope === "key" ? "key " : ""}${name}: ${[...used, ...held, `${waiting} wait`].join("; ")}`;
}

const FAULTS = {
  upstream: "the upstream's fault",
  request: "the request's fault",
  client: "the client's doing",
  perennial: "a limit or a bug of Perennial's",
} as const;

function streamLine({ id, model, dialect, state, ms, characters, attempts, upstream }: StreamView): string {
  const name = state.at === "ended" ? state.outcome : state.at;
  const failure = state.at === "ended" ? state.failure : undefined;
  return [
    `${MARKS[name] ?? "·"} ${name.padEnd(11)}`,
    `${(ms / 1_000).toFixed(1)} s`.padStart(8),
    `${characters} chars`.padStart(13),
    `${attempts.at(-1)?.n ?? 0} att.`,
    (model ?? dialect).slice(0, 24).padEnd(24),
    upstream ?? "-",
    failure ?? "",
    id.slice(0, 8),
  ].join("  ");
}

/** A client names its model: that must not move the cursor. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "�");
}
