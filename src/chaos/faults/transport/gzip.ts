/** A compressed body although the client asked for none: some CDNs compress event streams. */
import { gzipSync } from "node:zlib";
import { answerBytes, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { bodyOf, reply, send, streamHead } from "../../script.ts";

const PIECES = 5;

export const gzip: Fault = {
  name: "gzip",
  summary: "the whole answer, gzip although identity was asked for",
  *stream(ask) {
    yield streamHead({ headers: { "content-encoding": "gzip" } });
    const body = gzipSync(bodyOf(wholeStream(ask)));
    const size = Math.ceil(body.length / PIECES);
    for (let i = 0; i < body.length; i += size) yield send(body.subarray(i, i + size));
  },
  answer: (ask) => reply(200, "application/json", gzipSync(answerBytes(ask)), { "content-encoding": "gzip" }),
};
