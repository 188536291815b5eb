/** Bytes that are not UTF-8 inside the text, as from a server that cuts characters in half. */
import { answerBytes, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { reply, send, toBuffer } from "../../script.ts";

const LONE_LEAD_BYTES = Buffer.from([0xe7, 0xbb, 0xff, 0xf0, 0x9f]);

export const badUtf8: Fault = {
  name: "bad-utf8",
  arg: events(),
  dialects: ["chat"],
  summary: "invalid UTF-8 inside the event after this many; else whole",
  *stream(ask, count) {
    let sent = 0;
    for (const step of wholeStream(ask)) {
      yield step.do === "send" && sent++ === count ? send(spoil(step.bytes)) : step;
    }
  },
  answer: (ask) => reply(200, "application/json", spoil(answerBytes(ask))),
};

/** The same JSON with the bytes put where its text begins. */
function spoil(bytes: string | Buffer): Buffer {
  const whole = toBuffer(bytes);
  const key = '"content":"';
  const at = whole.indexOf(key) + key.length;
  return at < key.length ? whole : Buffer.concat([whole.subarray(0, at), LONE_LEAD_BYTES, whole.subarray(at)]);
}
