/** JSON values as dialects read them: nothing is what its sender says until it has been looked at. */

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text as a JSON object, or undefined when it is none. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The object on a line that is no event: bare, or with a beginning that is nearly one. Undefined when there is none. */
export function strayObject(line: string): JsonObject | undefined {
  return parseObject(line.replace(/^\s*(?:data\s*:)?\s*/i, ""));
}

/** The elements that are objects, of what may be an array. */
export function objectsOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Whether there is anything in a value: text, elements, fields. Numbers and flags say nothing by themselves. */
export function holdsSomething(value: unknown): boolean {
  if (typeof value === "string") return value !== "";
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.keys(value).length > 0;
}
