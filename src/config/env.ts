/** Settings from the environment: one setting for each known PERENNIAL_ variable. */
import { pathInFirstUpstream } from "./first-upstream.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** One value that overrides the file, and the name under which its user knows it. */
export interface Setting {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  /** `PERENNIAL_PORT` or `--port`; named in errors in place of a line. */
  readonly origin: string;
}

/** The variables that are set; others, and empty ones, are left out. PERENNIAL_CONFIG is no setting: see load.ts. */
export function envSettings(env: Env): Setting[] {
  return [
    setting("PERENNIAL_UPSTREAM", pathInFirstUpstream("baseUrl"), env.PERENNIAL_UPSTREAM),
    setting("PERENNIAL_API_KEY", pathInFirstUpstream("apiKey"), env.PERENNIAL_API_KEY),
    setting("PERENNIAL_HOST", ["host"], env.PERENNIAL_HOST),
    setting("PERENNIAL_PORT", ["port"], toNumber(env.PERENNIAL_PORT)),
    setting("PERENNIAL_KEYS", ["auth", "keys"], toList(env.PERENNIAL_KEYS)),
    setting("PERENNIAL_OPEN", ["open"], toBoolean(env.PERENNIAL_OPEN)),
    // Its other name in the file must not keep open what this closes.
    setting("PERENNIAL_OPEN", ["auth", "open"], env.PERENNIAL_OPEN === "false" ? false : undefined),
    setting("PERENNIAL_LOG_LEVEL", ["log", "level"], env.PERENNIAL_LOG_LEVEL),
  ].flat();
}

/** A list of one, or of none when there is no value. */
function setting(origin: string, path: Setting["path"], value: unknown): Setting[] {
  return value === undefined || value === "" ? [] : [{ origin, path, value }];
}

/** Digits as a number; anything else stays as it is, for the schema to complain about. */
export function toNumber(text: string | undefined): unknown {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}

/** Separated by commas; an element without text stays, for the schema to complain about. */
function toList(text: string | undefined): readonly string[] | undefined {
  return text === undefined || text === "" ? undefined : text.split(",").map((element) => element.trim());
}

function toBoolean(text: string | undefined): unknown {
  return text === "true" ? true : text === "false" ? false : text;
}
