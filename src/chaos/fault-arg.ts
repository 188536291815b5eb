/** The argument a fault may take (`truncate:3`, `flood:200MiB`, `slow:2s`): how it is written, read and shown. */

export type ArgUnit = "events" | "bytes" | "milliseconds" | "seconds" | "status";

export interface FaultArg {
  readonly unit: ArgUnit;
  readonly defaultValue: number;
}

/** Sizes and times beyond these are typing errors, not wishes. */
const LARGEST: Readonly<Record<ArgUnit, number>> = {
  events: 10_000_000,
  bytes: 1024 ** 4,
  milliseconds: 600_000,
  seconds: 86_400,
  status: 199,
};

const UNITS: Readonly<Record<ArgUnit, Readonly<Record<string, number>>>> = {
  events: { "": 1 },
  bytes: { "": 1, b: 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, kb: 1e3, mb: 1e6, gb: 1e9 },
  milliseconds: { "": 1, ms: 1, s: 1000, m: 60_000 },
  seconds: { "": 1, s: 1, m: 60, ms: 0.001 },
  status: { "": 1 },
};

export function events(defaultValue = 5): FaultArg {
  return { unit: "events", defaultValue };
}

export function bytes(defaultValue: number): FaultArg {
  return { unit: "bytes", defaultValue };
}

export function milliseconds(defaultValue: number): FaultArg {
  return { unit: "milliseconds", defaultValue };
}

export function seconds(defaultValue: number): FaultArg {
  return { unit: "seconds", defaultValue };
}

/** An informational status, 100 to 199. */
export function status(defaultValue: number): FaultArg {
  return { unit: "status", defaultValue };
}

/** The number that `text` stands for, or undefined when it is none this argument takes. */
export function parseArg(arg: FaultArg, text: string): number | undefined {
  const [, digits, suffix] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = suffix === undefined ? undefined : UNITS[arg.unit][suffix.toLowerCase()];
  if (digits === undefined || factor === undefined) return undefined;
  const value = Number(digits) * factor;
  const wholeOnly = arg.unit !== "seconds";
  if (value > LARGEST[arg.unit] || (wholeOnly && !Number.isInteger(value))) return undefined;
  if (arg.unit === "status" && value < 100) return undefined;
  return value;
}

/** The default, as a user would write it. */
export function formatDefault({ unit, defaultValue }: FaultArg): string {
  if (unit === "bytes" && defaultValue > 0 && defaultValue % 1024 ** 2 === 0) return `${defaultValue / 1024 ** 2}MiB`;
  if (unit === "milliseconds") return `${defaultValue}ms`;
  return String(defaultValue);
}
