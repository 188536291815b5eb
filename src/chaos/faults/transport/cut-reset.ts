/** A cut after an exact number of body bytes, wherever that falls, by TCP reset. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bytes } from "../../fault-arg.ts";
import { limitBody, reset } from "../../script.ts";

export const cutReset: Fault = {
  name: "cut-reset",
  arg: bytes(1000),
  summary: "TCP reset after exactly this many bytes of the body",
  stream: (ask, count) => limitBody(wholeStream(ask), count, reset),
  answer: (ask, count) => limitBody(wholeAnswer(ask), count, reset),
};
