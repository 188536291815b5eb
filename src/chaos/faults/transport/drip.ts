/** Every byte in a chunk and a packet of its own: events, lines and characters arrive in pieces. */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { milliseconds } from "../../fault-arg.ts";
import { mapSends, type Step, send, toBuffer } from "../../script.ts";

export const drip: Fault = {
  name: "drip",
  arg: milliseconds(0),
  summary: "the whole answer byte by byte, this long between bytes",
  stream: (ask, ms) => byteByByte(wholeStream(ask), ms),
  answer: (ask, ms) => byteByByte(wholeAnswer(ask), ms),
};

function byteByByte(script: Iterable<Step>, ms: number): Iterable<Step> {
  return mapSends(script, function* (step) {
    const whole = toBuffer(step.bytes);
    for (let i = 0; i < whole.length; i++) yield send(whole.subarray(i, i + 1), ms || "turn");
  });
}
