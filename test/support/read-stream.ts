/** A body read by a stream reader in memory: what clients would get of it, and why it is not whole. */
import { ToolCallHold } from "../../src/attempt/tool-call-hold.ts";
import { createStreamReader } from "../../src/call/stream-reader.ts";
import type { Dialect } from "../../src/core/dialect.ts";
import type { EventSink } from "../../src/core/event-sink.ts";
import { HeldMemory } from "../../src/core/held-memory.ts";

const REQUEST = { stream: true, model: "m", choices: 1, includeUsage: false };

/** What a reader makes of a body: what it handed on, and the code of its failure. */
export function readStream(dialect: Dialect, body: Buffer, step = body.length): { text: string; failure: string | undefined } {
  let pushed = "";
  let failure: string | undefined = "none";
  const inspector = dialect.inspectStream(REQUEST);
  const sink: EventSink = {
    push(event) {
      pushed += dialect.encodeEvent(event);
    },
    flush: () => true,
    finish() {},
  };
  const held = new HeldMemory().open();
  const reader = createStreamReader({
    inspector,
    sink: new ToolCallHold({
      next: sink,
      inspector,
      held,
      maxBytes: 1_000_000,
      maxEventBytes: 1_000_000,
      maxMs: 60_000,
      onFailure() {},
    }),
    maxEventBytes: 1_000_000,
    requireTerminator: false,
    acceptEmpty: false,
    control: {
      notice() {},
      pause() {},
      fail({ code }) {
        failure = code;
      },
    },
    onWhole() {
      failure = undefined;
    },
  });
  for (let at = 0; at < body.length; at += step) reader.onData(body.subarray(at, at + step));
  reader.onEnd(undefined);
  return { text: pushed, failure };
}
