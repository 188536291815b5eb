/** Who is asked next, of those that can be asked: lower priorities first, shares by weight, the fewest open streams among equals. */
import type { Candidate } from "./candidate.ts";
import type { OutageStanding } from "./outage-gate.ts";

/** How things stand with a candidate at this moment. */
export interface Standing {
  readonly candidate: Candidate;
  /** Undefined while it is not known to be out. */
  readonly outage: OutageStanding | undefined;
  /** Attempts that run there. */
  readonly open: number;
  /** It has a place for one more, and nothing is known against the key that it is asked with. */
  readonly hasRoom: boolean;
  /** How long its limits would have it wait, about, in milliseconds. */
  readonly limitedMs: number;
}

/** @param part what is asked: a model, or a path. */
export function standingOf(candidate: Candidate, part: string): Standing {
  const { credential } = candidate;
  const { outages, connections, open } = candidate.shared;
  const limitedMs = candidate.rate?.expectedMs ?? 0;
  return {
    candidate,
    limitedMs,
    outage: outages.standing(part),
    open: open.count,
    hasRoom: limitedMs === 0 && !connections.isFull && credential?.isResting(part) !== true,
  };
}

/** It can be asked now: it is not out, or the one question that shows whether it still is may be this one. */
export function isAvailable({ outage }: Pick<Standing, "outage">): boolean {
  return outage === undefined || (outage.waitMs === 0 && !outage.isTaken);
}

/**
 * @param standings of at least one candidate.
 * @param random between 0 and 1; for the shares.
 */
export function selectCandidate(standings: readonly [Standing, ...Standing[]], random: number): Candidate {
  if (standings.length === 1) return standings[0].candidate;
  const available = standings.filter(isAvailable);
  const free = available.filter(({ hasRoom }) => hasRoom);
  // None can be asked at once: where limits make all of them wait, those that do so for the shortest time.
  const shortest = Math.min(...available.map(({ limitedMs }) => limitedMs));
  const from = [free, available.filter(({ limitedMs }) => limitedMs === shortest)].find((list) => list.length > 0);
  // All are out: the one that is asked soonest.
  if (from === undefined) return soonest(standings).candidate;
  const first = Math.min(...from.map(({ candidate }) => candidate.share.priority));
  return leastOpen(
    drawWeight(
      from.filter(({ candidate }) => candidate.share.priority === first),
      random,
    ),
  );
}

export function soonest(standings: readonly [Standing, ...Standing[]]): Standing {
  const waitOf = ({ outage }: Standing): number => outage?.waitMs ?? 0;
  return standings.reduce((best, each) => (waitOf(each) < waitOf(best) ? each : best));
}

/** One of them in proportion to its weight; with it come all that weigh the same, of which the least busy is to be taken. */
function drawWeight(group: readonly Standing[], random: number): readonly Standing[] {
  const total = group.reduce((sum, { candidate }) => sum + candidate.share.weight, 0);
  let left = random * total;
  // From where it was drawn, so that of equals with as many open streams each is the first now and then.
  const index = group.findIndex(({ candidate }) => {
    left -= candidate.share.weight;
    return left < 0;
  });
  const fromDrawn = [...group.slice(Math.max(0, index)), ...group.slice(0, Math.max(0, index))];
  return fromDrawn.filter(({ candidate }) => candidate.share.weight === fromDrawn[0]?.candidate.share.weight);
}

function leastOpen([first, ...others]: readonly Standing[]): Candidate {
  // Only ever called with those of a group, which has at least one.
  return others.reduce((least, each) => (each.open < least.open ? each : least), first as Standing).candidate;
}

const GOLDEN_RATIO = 0.618_033_988_749_895;

/** Numbers that stay even over a few as well as over many, where those of chance would not: a share of 3 to 1 is one of 3 to 1 at once. */
export function createEvenDraws(start = Math.random()): () => number {
  let last = start;
  return () => {
    last = (last + GOLDEN_RATIO) % 1;
    return last;
  };
}
