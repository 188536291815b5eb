/** Names of events whose data is not there: the standard has readers drop such an event, and a lost line of data would be dropped with it. */

export interface LostData {
  readonly name: string;
  /** The blank line that ends the event: if no event came of it, it has no data. */
  readonly from: number;
  readonly to: number;
}

const EVENT = "event:";
const DATA = /^data(?::|$)/;

/** Watches the text of one stream. A line that begins with `event:` must come whole. */
export class LostDataFinder {
  /** Of the event that has begun, while no data has come behind it. */
  #name: string | undefined;
  #endedWithReturn = false;

  /** @param startsLine the text begins a line, and does not go on with one. */
  find(text: string, startsLine: boolean): readonly LostData[] {
    const found: LostData[] = [];
    const isSplit = this.#endedWithReturn && text.startsWith("\n");
    if (text !== "") this.#endedWithReturn = text.endsWith("\r");
    if (this.#name === undefined && !text.includes(EVENT)) return found;
    let at = isSplit ? 1 : 0;
    let isStart = startsLine;
    while (at < text.length) {
      const end = lineEnd(text, at);
      if (isStart) this.#onLine(text, at, end, found);
      isStart = true;
      at = end + (text[end] === "\r" && text[end + 1] === "\n" ? 2 : 1);
    }
    return found;
  }

  #onLine(text: string, start: number, end: number, found: LostData[]): void {
    if (start === end) {
      const to = end + (text[end] === "\r" && text[end + 1] === "\n" ? 2 : 1);
      if (this.#name !== undefined) found.push({ name: this.#name, from: start, to });
      this.#name = undefined;
    } else if (text.startsWith(EVENT, start)) {
      this.#name = text.slice(start + EVENT.length, end).trim() || undefined;
    } else if (this.#name !== undefined && DATA.test(text.slice(start, Math.min(end, start + 5)))) {
      this.#name = undefined;
    }
  }
}

function lineEnd(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const end = feed === -1 ? text.length : feed;
  // Looked for in this line only: a search to the end of the text for each line would be quadratic.
  const back = text.slice(from, end).indexOf("\r");
  return back === -1 ? end : from + back;
}
