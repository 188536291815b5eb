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
 * A stream takes one descriptor to its upstream, beside its client's. Of several workers each has its part of the clients' connections,
 * and no more streams than those.
 * @param descriptors of each process.
 * @returns the same limits where they fit; otherwise both lowered, for one process in proportion, with a sentence for the log.
 */
export function fitToDescriptors<Limits extends ConnectionLimits>(
  limits: Limits,
  descriptors: number | undefined,
  workers = 1,
): { readonly limits: Limits; readonly warning: string | undefined } {
  const { maxClientConnections, maxStreams } = limits;
  const clients = Math.ceil(maxClientConnections / workers);
  const most = workers === 1 ? maxStreams : Math.min(maxStreams, clients);
  const wanted = clients + most;
  if (descriptors === undefined || wanted + RESERVED <= descriptors) return { limits, warning: undefined };
  const free = descriptors - Math.min(RESERVED, Math.ceil(descriptors / 2));
  const lowered = { ...limits, ...(workers === 1 ? lower(limits, free) : lowerForEach(limits, free, workers)) };
  const [where, what] =
    workers === 1
      ? ["", "limits.maxClientConnections + limits.maxStreams"]
      : [` in each of ${workers} workers`, "its part of limits.maxClientConnections, as many streams (limits.maxStreams)"];
  const warning =
    `only ${descriptors} files may be open${where} (ulimit -n), and ${what} + ${RESERVED} need ` +
    `${wanted + RESERVED}: they are lowered to ${lowered.maxClientConnections} and ${lowered.maxStreams}`;
  return { limits: lowered, warning };
}

function lower({ maxClientConnections, maxStreams }: ConnectionLimits, free: number): ConnectionLimits {
  const streams = Math.max(1, Math.floor((free * maxStreams) / (maxClientConnections + maxStreams)));
  return { maxStreams: streams, maxClientConnections: Math.max(1, free - streams) };
}

/** Streams are counted together, so that as many as there are connections may come to one worker. */
function lowerForEach({ maxStreams }: ConnectionLimits, free: number, workers: number): ConnectionLimits {
  const ofEach = Math.max(1, maxStreams <= free / 2 ? free - maxStreams : Math.floor(free / 2));
  return { maxClientConnections: ofEach * workers, maxStreams: Math.min(maxStreams, ofEach * workers) };
}
