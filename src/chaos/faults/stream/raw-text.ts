/** An event stream in name only: plain lines of text, such as a traceback. */
import type { Fault } from "../../fault.ts";
import { reply, send, streamHead } from "../../script.ts";

const LINES = 'Traceback (most recent call last):\n  File "api_server.py", line 412, in predict\nRuntimeError: CUDA error\n';

export const rawText: Fault = {
  name: "raw-text",
  summary: "an event-stream header, but plain lines of text",
  *stream() {
    yield streamHead();
    for (const line of LINES.split(/(?<=\n)/)) yield send(line);
  },
  answer: () => reply(200, "application/json", LINES),
};
