/** Each event's content is a mark: its number in the stream and when it was written, on the clock that all processes of a machine share. */

/** On that clock, in microseconds. */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1_000n);

export function writeMark(number: number, atUs: number): string {
  return `@${String(number).padStart(6, "0")}:${String(atUs).padStart(16, "0")}@`;
}

const LENGTH = writeMark(0, 0).length;
/** What is kept of the end, in characters. */
const END_LENGTH = 200;
const MARK = /@(\d{6}):(\d{16})@/g;

/** Finds the marks of one stream, wherever its reads are cut, and whatever is written around them. */
export class MarkReader {
  #rest = "";
  /** How many have come. */
  count = 0;
  /** None was lost, repeated or out of order so far. */
  isInOrder = true;

  /** @param onMark told when each was written */
  feed(read: Buffer, onMark: (atUs: number) => void): void {
    const text = this.#rest + read.toString("latin1");
    let end = 0;
    for (const found of text.matchAll(MARK)) {
      if (Number(found[1]) !== this.count) this.isInOrder = false;
      this.count++;
      end = found.index + LENGTH;
      onMark(Number(found[2]));
    }
    this.#rest = text.slice(Math.max(end, text.length - END_LENGTH));
  }

  /** The last event says that the answer is whole; comments and ids may stand behind it. */
  get isDone(): boolean {
    return /data: ?\[DONE\]\r?\n(?:(?:id)?:[^\n]*\n|\r?\n)*$/.test(this.#rest);
  }
}
