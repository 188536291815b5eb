/** Durations (`30s`) and sizes (`4MiB`) as people write them, and back again. */
import { DURATION_UNITS, readQuantity, type Units, writeQuantity } from "../core/quantity.ts";

/** The longest wait that setTimeout keeps; anything longer would fire at once. In milliseconds, about 24.8 days. */
export const MAX_DURATION_MS = 2 ** 31 - 1;

export const DURATION_EXPECTED = "expected a duration such as 500ms, 30s or 10m";
export const RATE_EXPECTED = "expected a rate such as 200/m (s, m, h or d)";
export const SIZE_EXPECTED = "expected a size such as 512KiB, 4MiB or 65536";

const SIZE_UNITS: Units = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, GB: 1e9, MB: 1e6, KB: 1e3, B: 1 };

/**
 * `500ms`, `30s`, `10m`, `1h`, `1d` or a bare `0`, in milliseconds.
 * @throws RangeError that says what was expected
 */
export function parseDuration(text: string): number {
  const ms = text === "0" ? 0 : readQuantity(text, DURATION_UNITS);
  if (ms === undefined) throw new RangeError(DURATION_EXPECTED);
  if (ms > MAX_DURATION_MS) throw new RangeError("expected a duration of at most 24d");
  return ms;
}

/**
 * `4MiB`, `512KiB`, `64KB` (thousands), `1024B` or a bare `1024`, in bytes.
 * @throws RangeError that says what was expected
 */
export function parseSize(text: string): number {
  const bytes = readQuantity(/^\d+$/.test(text) ? `${text}B` : text, SIZE_UNITS);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) throw new RangeError(SIZE_EXPECTED);
  return bytes;
}

/**
 * `200/m`: so many a minute; `s`, `h` and `d` likewise.
 * @throws RangeError that says what was expected
 */
export function parseRate(text: string): { amount: number; perMs: number } {
  const [, digits, unit = ""] = /^([1-9]\d{0,11})\/(s|m|h|d)$/.exec(text) ?? [];
  const perMs = DURATION_UNITS[unit];
  if (digits === undefined || perMs === undefined) throw new RangeError(RATE_EXPECTED);
  return { amount: Number(digits), perMs };
}

export function formatRate({ amount, perMs }: { readonly amount: number; readonly perMs: number }): string {
  const unit = Object.keys(DURATION_UNITS).find((name) => DURATION_UNITS[name] === perMs);
  return `${amount}/${unit}`;
}

/** Milliseconds in the largest unit that keeps them exact: 90000 is `90s`. */
export function formatDuration(ms: number): string {
  return ms === 0 ? "0s" : writeQuantity(ms, DURATION_UNITS);
}

/** Bytes in the largest unit that keeps them exact: 4194304 is `4MiB`. */
export function formatSize(bytes: number): string {
  return bytes === 0 ? "0B" : writeQuantity(bytes, SIZE_UNITS);
}
