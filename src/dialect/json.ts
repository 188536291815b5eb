/** JSON values as dialects read them: nothing is what its sender says until it has been looked at. */

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text as a JSON object, or undefined when it is none. */
export function parseObject(text: string): JsonObject | undefined {
  const value = parseValue(text);
  return isObject(value) ? value : undefined;
}

/** Text as a JSON value, or undefined when it is none. */
export function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const NOTHING = /^\s*(?:null|true|false|""|\[\s*\]|-?\d[\d.]*(?:e[+-]?\d+)?)?\s*$/i;

/** JSON that tells nothing: `null`, `[]`, `""`, a number, a flag. Servers send such events to keep a connection alive. */
export function isNothing(text: string): boolean {
  // Longer ones would be data, and most events are objects.
  return text.length < 64 && NOTHING.test(text);
}

/** An object with no fields at all, not even those that every object inherits: its fields' names come from outside. */
export function bareObject(fields: JsonObject = {}): JsonObject {
  return Object.assign(Object.create(null) as JsonObject, fields);
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
