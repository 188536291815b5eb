/** A cut after an exact number of body bytes, wherever that falls. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bytes } from "../../fault-arg.ts";
import { fin, limitBody } from "../../script.ts";

export const cut: Fault = {
  name: "cut",
  arg: bytes(1000),
  summary: "closes after exactly this many bytes of the body",
  stream: (ask, count) => limitBody(wholeStream(ask), count, fin),
  answer: (ask, count) => limitBody(wholeAnswer(ask), count, fin),
};
