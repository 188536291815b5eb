/** Random choices from a seed: the same number gives the same case on every machine. */

export interface Random {
  /** 0 … 1, without 1. */
  next(): number;
  /** A whole number from `from` up to and with `to`. */
  int(from: number, to: number): number;
  pick<T>(from: readonly T[]): T;
  chance(share: number): boolean;
}

/** @param seed of the run, @param number of the case: each case can be played alone. */
export function createRandom(seed: number, number = 0): Random {
  // splitmix32: neighbouring seeds give sequences that have nothing in common.
  let state = (Math.imul(seed, 0x9e3779b9) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    int,
    pick<T>(from: readonly T[]): T {
      return from[int(0, from.length - 1)] as T;
    },
    chance: (share) => next() < share,
  };
}
