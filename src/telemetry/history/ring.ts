/** The last so many of something: what is older than that is forgotten, so that a history never grows. */
export class Ring<T> {
  readonly #items: T[] = [];
  readonly #size: number;
  /** Where the next one goes; the oldest stands there. */
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get length(): number {
    return this.#items.length;
  }

  /** @returns what had to make room for it. */
  push(item: T): T | undefined {
    const forgotten = this.#items[this.#next];
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#size;
    return forgotten;
  }

  /** The latest first. */
  *latest(): Iterable<T> {
    for (let back = 1; back <= this.#items.length; back++) {
      yield this.#items[(this.#next - back + this.#size) % this.#size] as T;
    }
  }
}
