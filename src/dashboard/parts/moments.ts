/** What happened to a stream, moment by moment, in words. */
import type { StreamView } from "../../telemetry/history/view.ts";
import { formatMs } from "../format.ts";
import type { Texts } from "../texts/en.ts";

export interface Moment {
  /** Since the request's arrival; undefined for what cannot be put to one moment. */
  readonly atMs: number | undefined;
  readonly text: string;
  readonly kind: "begin" | "step" | "broken" | "flow" | "good" | "bad" | "note";
}

export function momentsOf(stream: StreamView, texts: Texts): Moment[] {
  const { stream: words } = texts;
  const { state, committedMs, heartbeats, longestGapMs } = stream;
  const moments: Moment[] = [{ atMs: 0, text: words.arrived, kind: "begin" }];
  if (stream.queuedMs !== undefined)
    moments.push({ atMs: undefined, text: words.queued(formatMs(stream.queuedMs)), kind: "note" });
  for (const attempt of stream.attempts) {
    const { n, upstream, atMs, ms, failure, lost, status, waitMs } = attempt;
    moments.push({ atMs, text: words.attempt(n, upstream), kind: "step" });
    const opened = !lost && committedMs !== undefined && committedMs >= atMs && committedMs <= atMs + ms;
    if (opened) moments.push({ atMs: committedMs, text: words.gate, kind: "flow" });
    if (failure !== undefined) {
      const why = `${texts.code[failure]}${status !== undefined && status !== 200 ? ` (HTTP ${status})` : ""}`;
      moments.push({ atMs: atMs + ms, text: words.failed(n, why, formatMs(ms)), kind: "broken" });
    }
    if (lost) moments.push({ atMs: atMs + ms, text: words.lost(n), kind: "note" });
    if (waitMs !== undefined) moments.push({ atMs: undefined, text: words.wait(formatMs(waitMs)), kind: "note" });
  }
  for (const by of state.at === "ended" ? state.seams : []) moments.push({ atMs: undefined, text: words.seam[by], kind: "flow" });
  if (heartbeats > 0) moments.push({ atMs: undefined, text: words.heartbeats(heartbeats), kind: "note" });
  if (longestGapMs !== undefined) moments.push({ atMs: undefined, text: words.gap(formatMs(longestGapMs)), kind: "note" });
  if (state.at === "ended") {
    const isGood = state.failure === undefined && state.outcome !== "cancelled";
    moments.push({ atMs: stream.ms, text: texts.outcomeText[state.outcome], kind: isGood ? "good" : "bad" });
  } else moments.push({ atMs: stream.ms, text: words.now[state.at], kind: "step" });
  return moments;
}
