/** The pieces most faults are made of: a chat answer begun, ended, whole, or cut in half. */
import { contentChunks, finishChunk, roleChunks, usageChunk } from "./chat-chunks.ts";
import type { Ask } from "./fault.ts";
import { done, event, jsonReply, limitBody, reply, type Step, streamHead, toBuffer } from "./script.ts";

/** The events of an answer that is not finished: roles, then text. */
export function* openingEvents(ask: Ask): Iterable<Step> {
  for (const chunk of roleChunks(ask)) yield event(chunk);
  for (const chunk of contentChunks(ask)) yield event(chunk);
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

/** The event of an unfinished answer that would follow the first `count`. */
export function nextEvent(ask: Ask, count: number): Buffer {
  const events = [...openingEvents(ask)].filter((step) => step.do === "send");
  return toBuffer(events[Math.min(count, events.length - 1)]?.bytes ?? "");
}

/** A finish for every choice, and the usage chunk where it was asked for. */
export function* finishEvents(ask: Ask, reason = "stop"): Iterable<Step> {
  for (let index = 0; index < ask.choices; index++) yield event(finishChunk(ask, index, reason));
  if (ask.includeUsage) yield event(usageChunk(ask));
}

export function* wholeStream(ask: Ask): Iterable<Step> {
  yield* openedStream(ask);
  yield* finishEvents(ask);
  yield done;
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

export function answerBytes(ask: Ask): Buffer {
  return Buffer.from(JSON.stringify(ask.answer()));
}
