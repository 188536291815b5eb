/** Who the n-th client is, by seed: most stream, some do not, some leave, a few read slowly. */
import { mulberry32 } from "../../src/chaos/random-faults.ts";

export type ClientKind =
  | "streamed"
  | "not streamed"
  /** Goes after the first words. */
  | "leaves in mid-stream"
  /** Goes once the upstream has been asked, before it has said anything. */
  | "leaves while it waits"
  /** Reads little by little, and once not at all for longer than the idle timeout. */
  | "reads slowly";

export const SHARES: Readonly<Record<ClientKind, number>> = {
  streamed: 0.82,
  "not streamed": 0.15,
  "leaves in mid-stream": 0.02,
  "leaves while it waits": 0.0095,
  "reads slowly": 0.0005,
};

export function createMix(seed: number): () => ClientKind {
  // Another sequence than the one that chooses the faults.
  const random = mulberry32(seed ^ 0x5f3759df);
  const kinds = Object.entries(SHARES) as [ClientKind, number][];
  return () => {
    let left = random();
    for (const [kind, share] of kinds) {
      left -= share;
      if (left < 0) return kind;
    }
    return "streamed";
  };
}
