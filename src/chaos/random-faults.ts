/** Breaks a share of the requests that name no fault; the same seed breaks the same ones in the same way. */
import { defaultStep, type SpecStep } from "./fault-spec.ts";
import { FAULTS } from "./registry.ts";

/** The fault for the next request; undefined when it may pass. */
export type DrawFault = () => SpecStep | undefined;

export function createRandomFaults(rate: number, seed: number): DrawFault {
  const random = mulberry32(seed);
  const candidates = FAULTS.filter((fault) => fault.random);
  return () => {
    // Always two draws, so that another rate with the same seed shifts nothing else.
    const [chance, pick] = [random(), random()];
    const fault = candidates[Math.floor(pick * candidates.length)];
    return chance < rate && fault ? defaultStep(fault) : undefined;
  };
}

/** Numbers from 0 up to 1 (Tommy Ettinger's mulberry32, public domain). */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
