/** What programs have taken of the machine, with all their children, read from /proc. */
import { readdirSync, readFileSync } from "node:fs";

export interface CpuTime {
  readonly userUs: number;
  readonly systemUs: number;
}

/** /proc counts in hundredths of a second on every Linux of today. */
const TICK_US = 10_000;

function statOf(pid: number): readonly string[] | undefined {
  try {
    // The name, in parentheses, may hold anything.
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
  } catch {
    return undefined;
  }
}

/** The process and all below it. */
export function familyOf(root: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? statOf(pid)?.[1] : undefined;
    if (parent !== undefined) parents.set(pid, Number(parent));
  }
  const family = [root];
  for (const member of family) {
    for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  }
  return family.filter((pid) => parents.has(pid));
}

export function cpuOf(pids: readonly number[]): CpuTime {
  const stats = pids.map(statOf).filter((stat) => stat !== undefined);
  const sum = (field: number): number => stats.reduce((total, stat) => total + Number(stat[field]), 0) * TICK_US;
  return { userUs: sum(11), systemUs: sum(12) };
}

/** CPU so far in milliseconds, finer than /proc/PID/stat; threads that have ended are missing. */
export function fineCpuMs(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const thread of readFolder(`/proc/${pid}/task`)) {
      try {
        nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
      } catch {
        // It has just ended.
      }
    }
  }
  return nanoseconds / 1e6;
}

function readFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Resident memory in MiB. */
export function rssOf(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      // It has just ended.
    }
  }
  return kib / 1024;
}

/** How many files a process of ours may open, at most. */
export function descriptorLimit(): number {
  const [, hard] = /Max open files\s+\S+\s+(\S+)/.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard ?? 1_024);
}
