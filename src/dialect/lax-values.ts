/** Flags and counts of a request as the servers read them: pydantic, on which most of them stand, takes `"true"` for true and `"2"` for 2. */

const TRUE = /^(?:true|t|yes|y|on|1)$/i;

export function readFlag(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === "string" && TRUE.test(value));
}

/** @returns 1 for whatever is no number above it. */
export function readCount(value: unknown): number {
  const count = typeof value === "string" ? Number(value) : value;
  return typeof count === "number" && count > 1 ? count : 1;
}
