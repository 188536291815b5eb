/** A reader of server-sent events by the letter of the WHATWG standard; its own, so that it shares no mistake with Perennial's. */

export interface ReadEvents {
  /** The `data` of each event that was dispatched. */
  readonly data: readonly string[];
  /** Names of the fields that were used, such as `data` or `id`. */
  readonly fields: ReadonlySet<string>;
  /** Bytes after the last blank line: an event that was begun and never dispatched. Comments do not count. */
  readonly unfinished: string;
}

export function readEvents(text: string): ReadEvents {
  const lines = text.split(/\r\n|\r|\n/);
  const data: string[] = [];
  const fields = new Set<string>();
  let open: string[] = [];
  let pending: string[] = [];
  // What follows the last line end is no line yet.
  const rest = lines.pop() ?? "";
  for (const line of lines) {
    if (line === "") {
      if (open.length > 0) data.push(open.join("\n"));
      open = [];
      pending = [];
      continue;
    }
    if (line.startsWith(":")) continue;
    pending.push(line);
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    fields.add(name);
    if (name === "data") open.push(colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, ""));
  }
  return { data, fields, unfinished: [...pending, rest].join("\n") };
}
