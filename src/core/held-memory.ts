/** The memory that is held for clients, summed over all who hold some. */

export class HeldMemory {
  #bytes = 0;

  /** Held at this moment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A share that starts empty; its holder must release it at the end. */
  open(): HeldShare {
    let held = 0;
    const add = (bytes: number): void => {
      held += bytes;
      this.#bytes += bytes;
    };
    return { add, release: () => add(-held) };
  }
}

export interface HeldShare {
  /** @param bytes more than before, or fewer when negative. */
  add(bytes: number): void;
  /** All of it is gone. */
  release(): void;
}
