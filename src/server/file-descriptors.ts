/** How many files and connections this process may have open, and bounds that fit it. */
import { readFileSync } from "node:fs";

export interface ConnectionLimits {
  readonly maxClientConnections: number;
  readonly maxStreams: number;
}

/** For the program's own files, probes, and connections that are just being closed. */
const RESERVED = 100;

/** The limit as it is now; Node raises the soft one at its start. Undefined where the system does not say, or sets none. */
export function readDescriptorLimit(limits = "/proc/self/limits"): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(limits, "utf8"))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/**
 * A stream takes one descriptor to its upstream, beside its client's.
 * @returns the same limits where they fit; otherwise both lowered in proportion, with a sentence for the log.
 */
export function fitToDescriptors<Limits extends ConnectionLimits>(
  limits: Limits,
  descriptors: number | undefined,
): { readonly limits: Limits; readonly warning: string | undefined } {
  const { maxClientConnections, maxStreams } = limits;
  const wanted = maxClientConnections + maxStreams;
  if (descriptors === undefined || wanted + RESERVED <= descriptors) return { limits, warning: undefined };
  const free = descriptors - Math.min(RESERVED, Math.ceil(descriptors / 2));
  const streams = Math.max(1, Math.floor((free * maxStreams) / wanted));
  const lowered = { ...limits, maxStreams: streams, maxClientConnections: Math.max(1, free - streams) };
  const warning =
    `only ${descriptors} files may be open (ulimit -n), and limits.maxClientConnections + limits.maxStreams + ${RESERVED} need ` +
    `${wanted + RESERVED}: they are lowered to ${lowered.maxClientConnections} and ${lowered.maxStreams}`;
  return { limits: lowered, warning };
}
