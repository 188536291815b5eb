/** What happened to a stream, moment by moment, in words. */
import type { AttemptView, StreamView } from "../../telemetry/history/view.ts";
import { formatMs } from "../format.ts";
import type { Texts } from "../texts/en.ts";
import { legsOf } from "./segments.ts";

export interface Moment {
  /** Since the request's arrival; undefined for what cannot be put to one moment. */
  readonly atMs: number | undefined;
  readonly text: string;
  readonly kind: "begin" | "step" | "broken" | "flow" | "good" | "bad" | "note";
}

export function momentsOf(stream: StreamView, texts: Texts): Moment[] {
  const { stream: words } = texts;
  const { state, heartbeats, longestGapMs } = stream;
  const moments: Moment[] = [{ atMs: 0, text: words.arrived, kind: "begin" }];
  if (stream.queuedMs !== undefined)
    moments.push({ atMs: undefined, text: words.queued(formatMs(stream.queuedMs)), kind: "note" });
  if (stream.limitedMs !== undefined)
    moments.push({ atMs: undefined, text: words.limited(formatMs(stream.limitedMs)), kind: "note" });
  let last = 0;
  for (const attempt of stream.attempts) {
    if (attempt.n > last + 1) moments.push({ atMs: undefined, text: words.between(attempt.n - last - 1), kind: "note" });
    moments.push(...momentsOfAttempt(stream, attempt, texts));
    last = attempt.n;
  }
  const { seams, seam } = state.at === "ended" ? state : { seams: [], seam: undefined };
  // Where each leg was accepted it is known after which attempt the answer went on.
  if (!isOneForEach(stream, seams)) {
    for (const by of seams) moments.push({ atMs: undefined, text: words.seam[by], kind: "flow" });
  }
  if (seam !== undefined) moments.push({ atMs: undefined, text: words.notContinued(seam), kind: "note" });
  if (heartbeats > 0) moments.push({ atMs: undefined, text: words.heartbeats(heartbeats), kind: "note" });
  if (longestGapMs !== undefined) moments.push({ atMs: undefined, text: words.gap(formatMs(longestGapMs)), kind: "note" });
  if (state.at === "ended") {
    const isGood = state.failure === undefined && state.outcome !== "cancelled";
    moments.push({ atMs: stream.ms, text: texts.outcomeText[state.outcome], kind: isGood ? "good" : "bad" });
  } else moments.push({ atMs: stream.ms, text: words.now[state.at], kind: "step" });
  return moments;
}

function momentsOfAttempt(stream: StreamView, attempt: AttemptView, texts: Texts): Moment[] {
  const { stream: words } = texts;
  const { committedMs = Number.POSITIVE_INFINITY, state } = stream;
  const { n, upstream, atMs, ms, failure, lost, status, waitMs } = attempt;
  const moments: Moment[] = [{ atMs, text: words.attempt(n, upstream), kind: "step" }];
  const endMs = atMs + ms;
  if (!lost && committedMs >= atMs && committedMs <= endMs) moments.push({ atMs: committedMs, text: words.gate, kind: "flow" });
  const seams = state.at === "ended" ? state.seams : [];
  const leg = legsOf(stream).indexOf(attempt);
  const by = isOneForEach(stream, seams) ? seams[leg] : undefined;
  if (by !== undefined) moments.push({ atMs: undefined, text: words.seam[by], kind: "flow" });
  if (failure !== undefined) {
    const why = `${texts.code[failure]}${status !== undefined && status !== 200 ? ` (HTTP ${status})` : ""}`;
    moments.push({ atMs: endMs, text: words.failed(n, why, formatMs(ms)), kind: "broken" });
  }
  if (lost) moments.push({ atMs: endMs, text: words.lost(n), kind: "note" });
  if (waitMs !== undefined) {
    const isSeen = committedMs <= endMs;
    moments.push({
      atMs: undefined,
      text: words.wait[isSeen ? "seen" : "unseen"](waitMs > 0 ? formatMs(waitMs) : ""),
      kind: "note",
    });
  }
  return moments;
}

function isOneForEach(stream: StreamView, seams: readonly unknown[]): boolean {
  return seams.length > 0 && seams.length === legsOf(stream).length;
}
