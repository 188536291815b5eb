/** As many bytes as the client takes, in events of about 1 KiB: for memory under backpressure. */
import { completion, deltaChunk } from "../../chat-chunks.ts";
import { finishEvents, openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bytes } from "../../fault-arg.ts";
import { done, event, replyHead, send } from "../../script.ts";

/** Where the pieces go in the JSON answer. */
const MARK = "@@flood@@";
const PIECE = "flood ".repeat(170);

export const flood: Fault = {
  name: "flood",
  arg: bytes(64 * 1024 ** 2),
  dialects: ["chat"],
  summary: "a whole answer of about this many bytes, as fast as it is read",
  *stream(ask, size) {
    yield* openedStream(ask, ask.choices);
    const step = { ...event(deltaChunk(ask, 0, { content: PIECE })), pause: 0 };
    for (let sent = 0; sent < size; sent += step.bytes.length) yield step;
    yield* finishEvents(ask);
    yield done;
  },
  *answer(ask, size) {
    const [before = "", after = ""] = JSON.stringify(completion(ask, { message: { content: MARK } })).split(MARK, 2);
    yield replyHead(200, "application/json");
    yield send(before, 0);
    for (let sent = 0; sent < size; sent += PIECE.length) yield send(PIECE, 0);
    yield send(after, 0);
  },
};
