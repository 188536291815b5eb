/** The shape of a whole stream: how it ends, what it is labelled, what else is in it, and how soon it begins. */
import { formatDuration } from "../../config/units.ts";
import type { Facts, Recording } from "../facts.ts";
import { type Finding, note, ok } from "../finding.ts";

const MINUTE_MS = 60_000;

export function checkEnding({ streamed, upstream }: Facts): Finding[] {
  if (streamed === undefined || streamed.failure !== undefined) return [];
  const { recording, path } = streamed;
  // Compressed, it cannot be read here.
  if (isCompressed(recording)) return [labelOf(recording), firstSign(recording, upstream.firstTokenMs)];
  if (/^\s*[{[]/.test(recording.start)) {
    const advice = "nothing is shown before the end; Perennial makes the stream from it";
    return [note("ending", "it answers a streamed question with JSON", advice)];
  }
  const isNative = /\/chat\/(chat|chat\/completions)$/.test(path);
  return [
    isNative ? ok("ending", "ends with the end of its body, as this API does") : endingOf(recording, upstream.requireDone),
    labelOf(recording),
    ...extrasOf(recording),
    firstSign(recording, upstream.firstTokenMs),
  ];
}

function endingOf(recording: Recording, requireDone: boolean): Finding {
  const words = [...recording.start.matchAll(/"(?:finish_reason|stop_reason)"\s*:\s*"([^"]{1,40})"/g)].map(([, word]) => word);
  const finish = words.length > 0 ? `finish ${[...new Set(words)].join(", ")}` : "no finish";
  const done = hasTerminator(recording) ? "its terminator" : "no [DONE]";
  const end = { closed: "the body closed", open: "the body left open", broken: "the connection broke behind it" }[recording.end];
  const says = `ends with ${finish}, ${done}, ${end}`;
  if (recording.end !== "closed") return note("ending", says, "Perennial goes by the answer, and waits for no more");
  if (!hasTerminator(recording)) {
    return note("ending", says, requireDone ? undefined : "Perennial supplies [DONE]; leave requireDone off");
  }
  return ok("ending", says);
}

/** `[DONE]`, or the last event of messages and responses. */
export function hasTerminator({ tail }: Recording): boolean {
  return /\[DONE\]|message_stop|response\.(completed|incomplete)/.test(tail);
}

function labelOf({ headers }: Recording): Finding {
  const type = String(headers["content-type"] ?? "none").split(";", 1)[0] ?? "";
  if (isCompressed({ headers })) {
    return note(
      "label",
      `its streams come compressed (${headers["content-encoding"]}), unasked`,
      "they are inflated; text may come late in them",
    );
  }
  if (type.toLowerCase() === "text/event-stream") return ok("label", "labelled text/event-stream");
  return note(
    "label",
    `its event streams are labelled ${type}`,
    "Perennial reads them by what they are; clients of their own may not",
  );
}

function isCompressed({ headers }: Pick<Recording, "headers">): boolean {
  return ![undefined, "", "identity"].includes(headers["content-encoding"]?.toString());
}

function extrasOf({ start }: Recording): Finding[] {
  const comments = start.match(/^:/gm)?.length ?? 0;
  const pings = start.match(/^event: ?(ping|keepalive|heartbeat)/gm)?.length ?? 0;
  return comments + pings === 0 ? [] : [ok("comments", `${comments} comments and ${pings} pings, which are signs of life`)];
}

/** A small question is answered sooner than any other: what takes half of the limit here will meet it. */
function firstSign({ firstByteMs = 0 }: Recording, limitMs: number): Finding {
  const says = `the first sign of life came after ${firstByteMs} ms`;
  if (firstByteMs <= limitMs / 2) return ok("firstToken", says);
  const roomy = formatDuration(Math.ceil((firstByteMs * 4) / MINUTE_MS) * MINUTE_MS);
  return note("firstToken", says, `timeouts.firstToken is ${formatDuration(limitMs)}: longer questions will meet it`, {
    timeouts: { firstToken: roomy },
  });
}
