/** Pieces that are written at once. Most reads bring one event: that one costs no list. */

/** How many times its own size bytes may keep in memory while they wait to be written. */
const MOST_KEPT = 2;

export class Batch {
  #first: string | Buffer | undefined;
  /** The pieces behind the first. */
  #rest: (string | Buffer)[] = [];

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  add(piece: string | Buffer): void {
    if (this.#first === undefined) this.#first = piece;
    else this.#rest.push(piece);
  }

  /** All of it as bytes; the batch is empty then. */
  take(): Buffer {
    const first = this.#first ?? "";
    this.#first = undefined;
    if (this.#rest.length === 0) {
      // A small piece would keep all that was read with it for as long as its client does not take it.
      return typeof first === "string" || first.length * MOST_KEPT < first.buffer.byteLength ? Buffer.from(first) : first;
    }
    const rest = this.#rest;
    this.#rest = [];
    return Buffer.concat([toBytes(first), ...rest.map(toBytes)]);
  }
}

function toBytes(piece: string | Buffer): Buffer {
  return typeof piece === "string" ? Buffer.from(piece) : piece;
}
