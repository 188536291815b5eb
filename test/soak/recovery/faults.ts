/** What becomes of the n-th client's request and of each request for the rest of its answer, by seed. */

import { TOKENS } from "../../../src/chaos/answer.ts";
import { mulberry32 } from "../../../src/chaos/random-faults.ts";
import { CONTINUATIONS, FAULTS } from "../../../src/chaos/registry.ts";

/** How a server fails that goes on with answers: as with any other, and never by saying something wrong. */
const OF_LEGS: ReadonlySet<string> = new Set(["cut", "reset", "stall", "error", "500", "503"].map((kind) => `continue-${kind}`));
const GOES_ON = "continue-right";
/** In a row. */
const MOST = 8;

/** @returns a spec for `x-chaos`; undefined for a request that nothing happens to. */
export function createFaultDraw(rate: number, seed: number): () => string | undefined {
  const random = mulberry32(seed);
  const first = FAULTS.filter((fault) => fault.random);
  const legs = CONTINUATIONS.faults.filter(({ name }) => OF_LEGS.has(name));
  /** At any event of the answer, not at one alone. */
  const draw = (faults: typeof first): string[] => {
    const drawn: string[] = [];
    while (drawn.length < MOST && random() < rate) {
      const fault = faults[Math.floor(random() * faults.length)];
      const at = Math.floor(random() * (TOKENS.length + 2));
      if (fault !== undefined) drawn.push(fault.arg?.unit === "events" ? `${fault.name}:${at}` : fault.name);
    }
    return drawn;
  };
  return () => {
    const attempts = draw(first);
    if (attempts.length === 0) return undefined;
    return [...attempts, "ok", ...draw(legs), GOES_ON].join("+");
  };
}
