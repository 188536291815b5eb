/** Durations (`30s`) and sizes (`4MiB`) as people write them, and back again. */

/** The longest wait that setTimeout keeps; anything longer would fire at once. In milliseconds, about 24.8 days. */
export const MAX_DURATION_MS = 2 ** 31 - 1;

export const DURATION_EXPECTED = "expected a duration such as 500ms, 30s or 10m";
export const SIZE_EXPECTED = "expected a size such as 512KiB, 4MiB or 65536";

// Largest first, so that printing picks the shortest form that is still exact.
const DURATION_UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const SIZE_UNITS = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, GB: 1e9, MB: 1e6, KB: 1e3, B: 1 };

/**
 * `500ms`, `30s`, `10m`, `1h`, `1d` or a bare `0`, in milliseconds.
 * @throws RangeError that says what was expected
 */
export function parseDuration(text: string): number {
  const ms = text === "0" ? 0 : parse(text, DURATION_UNITS);
  if (ms === undefined) throw new RangeError(DURATION_EXPECTED);
  if (ms > MAX_DURATION_MS) throw new RangeError("expected a duration of at most 24d");
  return ms;
}

/**
 * `4MiB`, `512KiB`, `64KB` (thousands), `1024B` or a bare `1024`, in bytes.
 * @throws RangeError that says what was expected
 */
export function parseSize(text: string): number {
  const bytes = parse(/^\d+$/.test(text) ? `${text}B` : text, SIZE_UNITS);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) throw new RangeError(SIZE_EXPECTED);
  return bytes;
}

/** Milliseconds in the largest unit that keeps them exact: 90000 is `90s`. */
export function formatDuration(ms: number): string {
  return ms === 0 ? "0s" : format(ms, DURATION_UNITS);
}

/** Bytes in the largest unit that keeps them exact: 4194304 is `4MiB`. */
export function formatSize(bytes: number): string {
  return bytes === 0 ? "0B" : format(bytes, SIZE_UNITS);
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ""] = /^(\d+)([a-zA-Z]+)$/.exec(text) ?? [];
  if (digits === undefined || !Object.hasOwn(units, unit)) return undefined;
  return Number(digits) * (units[unit] ?? Number.NaN);
}

function format(amount: number, units: Readonly<Record<string, number>>): string {
  const [unit, factor] = Object.entries(units).find(([, factor]) => amount % factor === 0) ?? ["", 1];
  return `${amount / factor}${unit}`;
}
