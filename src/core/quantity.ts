/** An amount with its unit, such as `30s` or `4MiB`. */

/** Units and what one of them is. Largest first, so that printing picks the shortest form that is still exact. */
export type Units = Readonly<Record<string, number>>;

/** In milliseconds. */
export const DURATION_UNITS: Units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** @returns undefined for anything but digits and one of the units. */
export function readQuantity(text: string, units: Units): number | undefined {
  const [, digits, unit = ""] = /^(\d+)([a-zA-Z]+)$/.exec(text) ?? [];
  if (digits === undefined || !Object.hasOwn(units, unit)) return undefined;
  return Number(digits) * (units[unit] ?? Number.NaN);
}

/** In the largest unit that keeps it exact. */
export function writeQuantity(amount: number, units: Units): string {
  const [unit, factor] = Object.entries(units).find(([, factor]) => amount % factor === 0) ?? ["", 1];
  return `${amount / factor}${unit}`;
}
