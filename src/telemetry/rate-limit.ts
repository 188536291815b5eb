/** Says how often a line may be logged again: what happens at every request would drown the rest of the log. */

/** More kinds than these are not told apart for long, so that no upstream can fill the memory with them. */
const MAX_KINDS = 256;

/** @returns whether it is time for a line of this kind; if so, the next one is due `everyMs` later. */
export function createRateLimit(everyMs: number): (kind: string) => boolean {
  const lastAt = new Map<string, number>();
  return (kind) => {
    const now = performance.now();
    if (now - (lastAt.get(kind) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    if (lastAt.size >= MAX_KINDS) lastAt.clear();
    lastAt.set(kind, now);
    return true;
  };
}
