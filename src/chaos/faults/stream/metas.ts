/** Events that hold nothing, one like the other, and then a clean end: what keeps each of them fills its memory. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bytes } from "../../fault-arg.ts";
import { event, replyHead, send } from "../../script.ts";

const EVENTS_AT_ONCE = 500;

export const metas: Fault = {
  name: "metas",
  arg: bytes(64 * 1024 ** 2),
  dialects: ["chat"],
  summary: "about this many bytes of events without content, then a clean end",
  *stream(ask, size) {
    yield* openedStream(ask, ask.choices);
    const one = String(event({ choices: [] }).bytes);
    const step = send(one.repeat(EVENTS_AT_ONCE), 0);
    for (let sent = 0; sent < size; sent += step.bytes.length) yield step;
  },
  *answer(_ask, size) {
    yield replyHead(200, "application/json");
    const blanks = send(" \n".repeat(EVENTS_AT_ONCE), 0);
    for (let sent = 0; sent < size; sent += blanks.bytes.length) yield blanks;
  },
};
