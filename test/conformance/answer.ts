/** An answer as a client puts it together, field by field, whether it came in deltas or as one message. */

export interface Answer {
  /** Everything the choices said: `0.content`, `0.reasoning_content`, `0.tool_calls[0].function.arguments`. */
  readonly fields: Map<string, string>;
  /** By choice: its finish_reason, null as long as there is none. */
  readonly finish: Map<number, string | null>;
}

const GOOD_FINISH: ReadonlySet<string | null> = new Set(["stop", "length", "tool_calls", "function_call", "content_filter"]);

export function emptyAnswer(): Answer {
  return { fields: new Map(), finish: new Map() };
}

/** Adds the choices of a chunk or of a whole answer. */
export function addChoices(answer: Answer, json: unknown): void {
  if (!isObject(json) || !Array.isArray(json.choices)) return;
  for (const [position, choice] of json.choices.entries()) {
    if (!isObject(choice)) continue;
    const index = typeof choice.index === "number" ? choice.index : position;
    const reason = typeof choice.finish_reason === "string" ? choice.finish_reason : null;
    answer.finish.set(index, reason ?? answer.finish.get(index) ?? null);
    // In completions the text is the choice's own.
    addField(answer.fields, `${index}.text`, choice.text);
    const said = choice.delta ?? choice.message;
    if (!isObject(said)) continue;
    for (const [key, value] of Object.entries(said)) {
      if (key !== "role") addField(answer.fields, `${index}.${key}`, value);
    }
  }
}

export function addField(fields: Map<string, string>, path: string, value: unknown): void {
  if (Array.isArray(value)) {
    for (const [position, item] of value.entries()) {
      const { index = position, ...rest }: Record<string, unknown> = isObject(item) ? item : { value: item };
      addField(fields, `${path}[${index}]`, rest);
    }
  } else if (isObject(value)) {
    for (const [key, inner] of Object.entries(value)) addField(fields, `${path}.${key}`, inner);
  } else if (value !== null && value !== undefined && value !== "") {
    // Ids are drawn anew for every answer; that there is one, once, is what counts.
    const text = path.endsWith(".id") ? String(value).replace(/[0-9a-f]{24}/, "…") : String(value);
    // Said again with each piece of a tool call, a type is still the same: no SDK joins them.
    fields.set(path, path.endsWith(".type") ? text : (fields.get(path) ?? "") + text);
  }
}

/** Every choice has ended, and ended well. */
export function isFinished({ finish }: Answer): boolean {
  return finish.size > 0 && [...finish.values()].every((reason) => GOOD_FINISH.has(reason));
}

export function isSame(answer: Answer, right: Answer): boolean {
  return sameEntries(answer.fields, right.fields) && sameEntries(answer.finish, right.finish);
}

/** Whether all that was said is the beginning of what should be said; finish reasons say nothing. */
export function isPrefix(answer: Answer, right: Answer): boolean {
  return [...answer.fields].every(([path, text]) => right.fields.get(path)?.startsWith(text));
}

export function sizeOf(answer: Answer): number {
  let size = 0;
  for (const text of answer.fields.values()) size += text.length;
  return size;
}

function sameEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
