/** The smallest stream that still shows a disagreement of the same kind. */
import type { Case } from "./case.ts";

/** Enough for a stream of some hundred bytes; each try is a request. */
const MAX_TRIES = 150;

/** @param shows whether a case still has the same kind of disagreement. */
export async function minimise(found: Case, shows: (smaller: Case) => Promise<boolean>): Promise<Case> {
  let best: Case = found;
  let tries = 0;
  const attempt = async (smaller: Case): Promise<boolean> => {
    if (tries++ >= MAX_TRIES || !(await shows(smaller))) return false;
    best = smaller;
    return true;
  };
  for (const simpler of [{ splits: [] }, { framing: "chunked" as const }, { end: "clean" as const }, { choices: 1 }]) {
    await attempt({ ...best, ...simpler });
  }
  await dropEvents();
  // Smaller pieces would leave nothing that a reader could recognise.
  for (const size of [64, 32, 16]) await dropBytes(size);
  return { ...best, done: found.done };

  async function dropEvents(): Promise<void> {
    const events = (): string[] => best.body.toString("latin1").split(/(?<=\n\n)/);
    for (let at = events().length - 1; at >= 0; at--) {
      const rest = events().toSpliced(at, 1).join("");
      await attempt({ ...best, body: Buffer.from(rest, "latin1"), splits: [] });
    }
  }

  async function dropBytes(size: number): Promise<void> {
    for (let at = best.body.length - size; at >= 0; at -= size) {
      await attempt({ ...best, body: Buffer.concat([best.body.subarray(0, at), best.body.subarray(at + size)]), splits: [] });
    }
  }
}
