/** Whether Perennial holds after the run what it held before it, and nothing more. */
import { setTimeout as sleep } from "node:timers/promises";
import { sumOf } from "../support/prometheus.ts";
import type { Holdings } from "./holdings.ts";
import type { PerennialProcess } from "./perennial-process.ts";

/** One line of the report. */
export interface Check {
  readonly name: string;
  readonly before: string;
  readonly after: string;
  readonly limit: string;
  readonly passed: boolean;
}

const MB = 1024 ** 2;
/**
 * What a collected heap may differ by: compiled code, the counters' text, the buffers of a pool. A leak of 100 bytes for each
 * of 100,000 streams is 10 MB.
 */
const HEAP_GROWTH = 4 * MB;
/** Resident memory is what the allocator has not given back: bursts leave holes. */
const RSS_GROWTH = 48 * MB;
/** Connections are kept for 1 s, and a response may take 1 s to end after its last event. */
const QUIET_WITHIN_MS = 5_000;

/** Waits until no connection is open on either side. @returns what Perennial then holds, and the upstream's connections */
export async function waitForQuiet(
  perennial: PerennialProcess,
  connections: () => Promise<number>,
): Promise<{ holdings: Holdings; connections: number; quietAfterMs: number }> {
  const began = Date.now();
  for (;;) {
    const [holdings, open] = [await perennial.holdings(), await connections()];
    const quietAfterMs = Date.now() - began;
    if ((holdings.sockets === 0 && open === 0) || quietAfterMs > QUIET_WITHIN_MS) {
      return { holdings, connections: open, quietAfterMs };
    }
    await sleep(100);
  }
}

export function compareHoldings(
  before: Holdings,
  after: Holdings,
  connections: number,
  { rssGrowth = RSS_GROWTH, heapGrowth = HEAP_GROWTH } = {},
): Check[] {
  const atMost = (name: string, a: number, b: number, limit: number, show: (value: number) => string = String): Check => ({
    name,
    before: show(a),
    after: show(b),
    limit: show(limit),
    passed: b <= limit,
  });
  const mb = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`;
  return [
    atMost("connections to the upstream", 0, connections, 0),
    atMost("sockets of Perennial", before.sockets, after.sockets, 0),
    atMost("timers that keep it alive", before.timers, after.timers, before.timers),
    atMost("other handles and requests", before.others, after.others, before.others),
    atMost("open files", before.files, after.files, before.files),
    atMost("heap and buffers, collected", before.heap, after.heap, before.heap + heapGrowth, mb),
    atMost("resident memory, collected", before.rss, after.rss, before.rss + rssGrowth, mb),
  ];
}

/** What Perennial itself says of its state, at rest. */
export function checkMetrics(text: string): Check[] {
  return ["perennial_open_exchanges", "perennial_held_bytes"].map((name) => checkNone(text, name));
}

/** And of the answers that it has kept for clients that come back. */
export function checkKept(text: string): Check[] {
  return ["perennial_kept_streams", "perennial_kept_bytes"].map((name) => checkNone(text, name));
}

function checkNone(text: string, name: string): Check {
  const value = sumOf(text, name);
  return { name, before: "0", after: String(value), limit: "0", passed: value === 0 };
}
