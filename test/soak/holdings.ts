/** What a process holds at one moment: memory after a collection, timers, sockets, file descriptors. */
import { readdirSync } from "node:fs";

export interface Holdings {
  /** Resident memory, in bytes. */
  readonly rss: number;
  /** Heap in use and memory outside it, in bytes. */
  readonly heap: number;
  /** Sockets, client and server side. */
  readonly sockets: number;
  /** Timers that keep the process alive. */
  readonly timers: number;
  /** Everything else that keeps the process alive: listeners, pipes, requests. */
  readonly others: number;
  /** Open files; 0 where the system does not tell. */
  readonly files: number;
}

/** Of this process. Garbage is collected first where `--expose-gc` allows it. */
export async function readHoldings(): Promise<Holdings> {
  // Twice, and a turn between: what finalizers let go of is garbage only then.
  for (let i = 0; i < 2; i++) {
    // The thorough kind, which also gives empty pages back to the system.
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const count = (name: string): number => resources.filter((resource) => resource === name).length;
  const sockets = count("TCPSocketWrap");
  const timers = count("Timeout");
  return { rss, heap: heapUsed + external, sockets, timers, others: resources.length - sockets - timers, files: countFiles() };
}

function countFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
