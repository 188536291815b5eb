/** What a check found: a mark, one sentence, what to do, and the settings that mend it. */

/** `ok`: as it should be. `note`: works, or will with the proposed settings. `fault`: requests will fail. */
export type Mark = "ok" | "note" | "fault";

/** Settings of one upstream, as in the file. */
export type Settings = Readonly<Record<string, unknown>>;

export interface Finding {
  /** The check's name: stable, for programs. */
  readonly check: string;
  readonly mark: Mark;
  readonly says: string;
  /** What to do; absent where there is nothing to be done. */
  readonly advice?: string;
  /** For this upstream; they mend what was found. */
  readonly settings?: Settings;
}

export function ok(check: string, says: string): Finding {
  return { check, mark: "ok", says };
}

export function note(check: string, says: string, advice?: string, settings?: Settings): Finding {
  return found("note", check, says, advice, settings);
}

export function fault(check: string, says: string, advice?: string, settings?: Settings): Finding {
  return found("fault", check, says, advice, settings);
}

function found(mark: Mark, check: string, says: string, advice?: string, settings?: Settings): Finding {
  return { check, mark, says, ...(advice === undefined ? {} : { advice }), ...(settings === undefined ? {} : { settings }) };
}
