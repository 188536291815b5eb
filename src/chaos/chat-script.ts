/** The pieces most faults are made of: an answer begun, ended, whole, or cut in half, in the dialect it was asked in. */
import { TOKENS } from "./answer.ts";
import type { DialectScript, ErrorDetails, ToolCallScript } from "./dialect-script.ts";
import { chatDialect, chatToolCall } from "./dialects/chat-dialect.ts";
import type { Ask } from "./fault.ts";
import { jsonReply, limitBody, reply, type Step, streamHead, toBuffer } from "./script.ts";

export function dialectOf(ask: Ask): DialectScript {
  return ask.dialect ?? chatDialect;
}

/** The events of an answer that is not finished: roles, then text. */
export function* openingEvents(ask: Ask, tokens: readonly string[] = TOKENS): Iterable<Step> {
  yield* dialectOf(ask).begin(ask);
  yield* dialectOf(ask).text(ask, tokens);
}

/**
 * The head and the first `count` events of an answer.
 * A larger count than the answer has stops before its finish, so that whatever follows still breaks it.
 */
export function* openedStream(ask: Ask, count: number = Number.POSITIVE_INFINITY): Iterable<Step> {
  yield streamHead();
  let sent = 0;
  for (const step of openingEvents(ask)) {
    if (sent++ >= count) return;
    yield step;
  }
}

/** The head and an answer of these words that is not finished. */
export function* partialStream(ask: Ask, tokens: readonly string[]): Iterable<Step> {
  yield streamHead();
  yield* openingEvents(ask, tokens);
}

/** The event of an unfinished answer that would follow the first `count`. */
export function nextEvent(ask: Ask, count: number): Buffer {
  const events = [...openingEvents(ask)].filter((step) => step.do === "send");
  return toBuffer(events[Math.min(count, events.length - 1)]?.bytes ?? "");
}

/** What follows the text: a finish for every choice, and the usage where it was asked for. */
export function finishEvents(ask: Ask, reason?: string): Iterable<Step> {
  return dialectOf(ask).finish(ask, TOKENS, reason);
}

/** What says that the stream is over, such as [DONE]. */
export function terminator(ask: Ask): Iterable<Step> {
  return dialectOf(ask).terminator(ask, TOKENS);
}

/** The server's own words for a failure in mid-stream, after `count` events. */
export function errorEvents(ask: Ask, message: string, count: number): Iterable<Step> {
  return dialectOf(ask).error(ask, message, Math.min(count, [...openingEvents(ask)].length));
}

/** A tool call in the dialect; in chat's where it has none, which a fault's `dialects` prevent. */
export function toolCallOf(ask: Ask): ToolCallScript {
  return dialectOf(ask).toolCall ?? chatToolCall;
}

export function* wholeStream(ask: Ask, tokens: readonly string[] = TOKENS): Iterable<Step> {
  yield* partialStream(ask, tokens);
  yield* dialectOf(ask).finish(ask, tokens);
  yield* dialectOf(ask).terminator(ask, tokens);
}

/** The endpoint's faultless JSON answer. */
export function wholeAnswer(ask: Ask): Iterable<Step> {
  return jsonReply(200, ask.answer());
}

/** Half of the JSON answer's bytes, then `end`. */
export function halfAnswer(ask: Ask, end: Step): Iterable<Step> {
  return limitBody(wholeAnswer(ask), Math.floor(answerBytes(ask).length / 2), end);
}

/** A 200 with half of the JSON answer, and a clean end. */
export function brokenAnswer(ask: Ask): Iterable<Step> {
  const bytes = answerBytes(ask);
  return reply(200, "application/json", bytes.subarray(0, Math.floor(bytes.length / 2)));
}

/** A 200 without a body. */
export function emptyAnswer(): Iterable<Step> {
  return reply(200, "application/json", "");
}

/** An HTTP error in the dialect's own shape. */
export function errorReply(
  ask: Ask,
  status: number,
  message: string,
  { headers, ...details }: ErrorDetails & { headers?: Record<string, string> } = {},
): Iterable<Step> {
  return jsonReply(status, dialectOf(ask).errorBody(status, message, details), headers);
}

export function answerBytes(ask: Ask): Buffer {
  return Buffer.from(JSON.stringify(ask.answer()));
}
