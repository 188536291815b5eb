/** Tells the bytes of one answer from those of another: an upstream that sends the same ones twice will send them a third time. */
import { crc32 } from "node:zlib";

/** So much of a body is looked at; ids and times, which differ in answers that are made anew, stand in the first event. */
const MAX_BYTES = 1_024;

export class BodyFingerprint {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** Cheap: nothing is computed before it is asked for, and what was read is not kept alive. */
  add(chunk: Buffer): void {
    if (this.#bytes >= MAX_BYTES) return;
    this.#chunks.push(Buffer.from(chunk.subarray(0, MAX_BYTES - this.#bytes)));
    this.#bytes += chunk.length;
  }

  read(): string {
    return crc32(Buffer.concat(this.#chunks)).toString(16);
  }
}
