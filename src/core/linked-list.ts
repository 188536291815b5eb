/** What is under way: each joins at the end and leaves from wherever it stands, at the same small cost. */

/** The place of a value in its list. */
export interface Link {
  /** Without effect the second time. */
  remove(): void;
}

/**
 * For what comes and goes with every request, in place of a Map or a Set. V8 makes the table of one anew every few entries, and the old
 * table keeps those that it had, and leads to the new one. So once a full collection has found a table, whatever is in the later ones
 * outlives the collections of the young until the next full one: every request, with all that it holds, would be moved into the old
 * space, in pauses that clients feel.
 */
export class LinkedList<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Of all that are here, the one that has been for longest. */
  get first(): T | undefined {
    return this.#first?.value;
  }

  add(value: T): Link {
    const place: Place<T> = { value, before: this.#last, after: undefined };
    if (this.#last === undefined) this.#first = place;
    else this.#last.after = place;
    this.#last = place;
    this.#size++;
    let isHere = true;
    return {
      remove: () => {
        if (isHere) this.#take(place);
        isHere = false;
      },
    };
  }

  /** Those that are here now, in the order in which they came: whoever walks them may let some leave. */
  values(): T[] {
    const values: T[] = [];
    for (let place = this.#first; place !== undefined; place = place.after) values.push(place.value);
    return values;
  }

  #take(place: Place<T>): void {
    const { before, after } = place;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // One that has left must not lead to the others, as the tables do.
    place.before = undefined;
    place.after = undefined;
    this.#size--;
  }
}

interface Place<T> {
  readonly value: T;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}
