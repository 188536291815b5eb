/** The kinds of values that settings have, each with what to say when it is another. */
import { z } from "zod";
import { DURATION_EXPECTED, parseDuration, parseRate, parseSize, RATE_EXPECTED, SIZE_EXPECTED } from "./units.ts";

// Number bounds and text rules carry their whole message: "too small" alone would not say what to write.
export const wholeNumber = (min: number, max = Number.MAX_SAFE_INTEGER) => {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const error = `expected a whole number ${range}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};

export const text = (pattern: RegExp, error: string) => z.string({ error }).regex(pattern, { error });

/** A path, absolute or from the folder of the configuration file; empty counts as not set. */
export const file = () =>
  z.string({ error: "expected the name of a file" }).transform((name) => (name === "" ? undefined : name));

export const pemFile = () => text(/./, "expected the name of a file");

// The patterns of durations and sizes are for editors (config.schema.json); the parser's own words explain a mistake.
export const duration = () =>
  z
    .union([z.string().meta({ pattern: "^(\\d+(ms|s|m|h|d)|0)$" }), z.literal(0)], { error: DURATION_EXPECTED })
    .transform((value, ctx) => read(() => parseDuration(String(value)), ctx));

export const rate = () =>
  z
    .union([z.string().meta({ pattern: "^[1-9]\\d*/(s|m|h|d)$" }), z.number()], { error: RATE_EXPECTED })
    .transform((value, ctx) => read(() => parseRate(String(value)), ctx));

// Where zero would mean "at once" for a timer, it can only be a mistake.
export const someTime = () => duration().refine((ms) => ms > 0, { error: "expected a duration of more than 0, such as 30s" });

export const size = () =>
  z
    .union([z.string().meta({ pattern: "^\\d+(B|KB|MB|GB|KiB|MiB|GiB)?$" }), z.number()], { error: SIZE_EXPECTED })
    .transform((value, ctx) => read(() => parseSize(String(value)), ctx))
    .refine((bytes) => bytes > 0, { error: "expected a size of more than 0, such as 4MiB" });

function read<T>(parse: () => T, ctx: z.RefinementCtx): T {
  try {
    return parse();
  } catch (error) {
    ctx.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
}

const URL_EXPECTED = "expected a URL such as https://api.openai.com/v1";

export const baseUrl = z.string({ error: URL_EXPECTED }).transform((value, ctx) => {
  const fail = (message: string) => {
    ctx.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  if (!URL.canParse(value)) return fail(URL_EXPECTED);
  const url = new URL(value);
  if (url.protocol !== "http:" && url.protocol !== "https:") return fail("expected a URL that begins with http:// or https://");
  if (url.username !== "" || url.password !== "") return fail("a URL here holds no user name or password; put the key in apiKey");
  if (/[?#]/.test(value)) return fail("a base URL ends before any ? or #");
  return url.href.replace(/\/+$/, "");
});

const ORIGIN_EXPECTED = "expected the origin of a page, such as https://chat.example or https://chat.example:8443";

/** As browsers write it in `Origin`: in small letters, without a port that goes without saying. */
export const origin = z.string({ error: ORIGIN_EXPECTED }).transform((value, ctx) => {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\/[^/?#@\s*]+\/?$/i.exec(value) ?? [];
  if (scheme === undefined || !URL.canParse(value)) {
    ctx.addIssue({ code: "custom", message: ORIGIN_EXPECTED });
    return z.NEVER;
  }
  return /^https?$/i.test(scheme) ? new URL(value).origin : value.toLowerCase().replace(/\/$/, "");
});
