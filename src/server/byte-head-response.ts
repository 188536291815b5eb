/** A response whose head leaves as the bytes that it was given. */
import { type IncomingMessage, ServerResponse } from "node:http";

const NOTHING = Buffer.alloc(0);

/**
 * Node reads and writes headers a byte for a character, but a head that it flushes by itself goes out as UTF-8: every byte above 0x7f
 * becomes two. In front of a body of bytes, even of none, it does not.
 */
export class ByteHeadResponse extends ServerResponse<IncomingMessage> {
  override flushHeaders(): void {
    // Where no body may follow, nothing is written yet, and the end takes the head along.
    if (!this.writableEnded) this.write(NOTHING);
  }
}
