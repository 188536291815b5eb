/** The preset of `limits.maxHeldBytes`: what a process of this size can hold for its clients and stay alive. */
import { totalmem } from "node:os";
import { constrainedMemory } from "node:process";
import { getHeapStatistics } from "node:v8";
import { formatSize } from "./units.ts";

const MIB = 1024 ** 2;
const MOST_BYTES = 512 * MIB;
/** The rest is for the program itself, for what is being parsed, and for what the collector has not found yet. */
const SHARE = 1 / 4;

/** As a size. */
export function presetMaxHeldBytes(): string {
  // Without a limit of a container the second is 0, or more than any machine has.
  const mayUse = Math.min(getHeapStatistics().heap_size_limit, constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
  return formatSize(Math.min(MOST_BYTES, Math.max(1, Math.floor((mayUse * SHARE) / MIB)) * MIB));
}
