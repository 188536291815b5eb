/** The two small questions: whether each answer came whole, and which setting mends it where it did not. */
import type { Asked, Facts } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";
import { hasTerminator } from "./ending.ts";

export function checkAnswers(facts: Facts): Finding[] {
  return [...checkStreamed(facts), ...checkUnstreamed(facts)];
}

function checkStreamed({ streamed, unstreamed, upstream }: Facts): Finding[] {
  if (streamed === undefined || isToldElsewhere(streamed)) return [];
  const { failure } = streamed;
  if (failure === undefined) return [ok("streamed", `a streamed answer came whole, ${sizeOf(streamed)}`)];
  const says = `a streamed answer did not come whole: ${failure.message} (${failure.code})`;
  if (lacksFinish(streamed)) {
    return [note("streamed", says, "with finish: done, [DONE] alone ends its answers", { finish: "done" })];
  }
  if (failure.code === "stream_truncated" && upstream.requireDone && !hasTerminator(streamed.recording) && hasFinish(streamed)) {
    return [note("streamed", says, "it sends no [DONE], and requireDone asks for one", { requireDone: false })];
  }
  if (failure.code === "empty_stream" && unstreamed !== undefined && unstreamed.failure === undefined) {
    const advice = "short answers are streamed as nothing; Perennial asks for them whole, with this setting at once";
    return [note("streamed", says, advice, upstream.emptyFallback === "next" ? undefined : { emptyFallback: "next" })];
  }
  return [fault("streamed", says, adviceFor(streamed, upstream.patienceMs))];
}

function checkUnstreamed({ streamed, unstreamed, upstream }: Facts): Finding[] {
  if (unstreamed === undefined || isToldElsewhere(unstreamed)) return [];
  const { failure, recording } = unstreamed;
  const streams = streamed !== undefined && (streamed.failure === undefined || lacksFinish(streamed));
  const fromStreams = streams && upstream.nonStreaming === "direct" ? ({ nonStreaming: "viaStream" } as const) : undefined;
  if (failure === undefined && recording.end === "open") {
    const says = "an answer that is not streamed came whole, but its body was left open";
    return [note("unstreamed", says, "each would wait for timeouts.idle; made from a stream, none does", fromStreams)];
  }
  if (failure === undefined) return [ok("unstreamed", `an answer that is not streamed came whole, ${sizeOf(unstreamed)}`)];
  const says = `an answer that is not streamed did not come whole: ${failure.message} (${failure.code})`;
  if (fromStreams !== undefined) {
    return [note("unstreamed", says, "its streams are good: Perennial can make such answers from them", fromStreams)];
  }
  return [fault("unstreamed", says, adviceFor(unstreamed, upstream.patienceMs))];
}

/** The server ends its streams, and says no finish. */
function lacksFinish(asked: Asked): boolean {
  return asked.failure?.code === "stream_truncated" && hasTerminator(asked.recording) && !hasFinish(asked);
}

function hasFinish({ recording }: Asked): boolean {
  return /"finish_reason"\s*:\s*"/.test(recording.start);
}

/** A refused key, an empty account, a model that is not there, a redirect, no connection: other checks say so. */
function isToldElsewhere({ failure }: Asked): boolean {
  if (failure === undefined) return false;
  if (failure.outage === "connection" || /redirect/i.test(failure.message)) return true;
  const { code, status, scope } = failure;
  if (code !== "upstream_status" && code !== "upstream_error_event") return false;
  return status === 401 || status === 402 || status === 403 || status === 404 || (status === 429 && scope === "elsewhere");
}

function sizeOf({ recording }: Asked): string {
  return `${recording.bytes} bytes in ${recording.durationMs} ms`;
}

function adviceFor({ failure, recording }: Asked, patienceMs: number): string | undefined {
  switch (failure?.code) {
    case "upstream_status":
      if (failure.status === 429) return "a rate limit: wait, then try again";
      if (failure.status >= 500) return "the server failed: look into its own log";
      return "it refuses the question: name a model with --model, or look into its own log";
    case "first_token_timeout":
    case "stream_stalled":
    case "deadline_exceeded":
      return `it was silent for ${patienceMs / 1_000} s; if it takes longer, give --timeout, and set timeouts accordingly`;
    case "stream_truncated":
      return "the server, or a proxy before it, cuts answers short; if it does so now and then, gate.open: whole has all cuts tried again unseen";
    case "empty_stream":
      return "it answers nothing, streamed or not: look into its own log";
    case "stream_corrupted":
      return /^\s*</.test(recording.start)
        ? "a web page: baseUrl names no API"
        : "it answers in no API that is known: check baseUrl and profile";
    case "upstream_error_event":
      return "the server failed: look into its own log";
    default:
      return undefined;
  }
}
