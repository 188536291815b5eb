/** How much may be asked of an upstream, or with a client's key; and the keys themselves, by name, with what they may do. */
import { z } from "zod";
import type { RatePolicy } from "../balance/rate/rate-policy.ts";
import { duration, rate, text, wholeNumber } from "./values.ts";

const ofOne = {
  requests: rate().optional().describe("Most requests in that time, as 200/m: s, m, h or d. Default: any number."),
  tokens: rate()
    .optional()
    .describe(
      "Most tokens in that time, of questions and answers, as 100000/m: estimated before, corrected by the usage that the upstream tells. Default: any number.",
    ),
  concurrent: wholeNumber(1).optional().describe("Most requests at the same time. Default: any number."),
};

export const rateLimits = z
  .strictObject({
    ...ofOne,
    wait: duration()
      .prefault("2m")
      .describe("Longest wait for a place, in their order, as a duration; then 429, code rate_limited. Default: 2m."),
    models: z
      .record(z.string(), z.strictObject(ofOne))
      .default({})
      .describe("Limits of single models beside those for all, by the upstream's own name. Default: none."),
  })
  .optional();

export function policyOf({ wait, ...limits }: Exclude<z.output<typeof rateLimits>, undefined>): RatePolicy {
  return { ...limits, waitMs: wait };
}

const KEY_EXPECTED = "expected a key without spaces or line breaks";
const key = text(/^[\x21-\x7e]+$/, KEY_EXPECTED);

const namedKey = z.strictObject({
  key: key.describe("The key that the client must present. Required."),
  name: text(/^[A-Za-z0-9._-]+$/, "expected letters, digits, dots, dashes and underscores only")
    .optional()
    .describe("Name in logs, metrics and messages, where the key itself never stands; unique. Default: key-1, by its place."),
  rate: rateLimits.describe("How much may be asked with it; further requests wait in their order. Default: any amount."),
  models: z
    .array(text(/./, "expected the name of a model"))
    .min(1, { error: "expected at least one name, such as qwen*; leave it out for all models" })
    .optional()
    .describe("The only models that may be asked with it; * stands for any characters. Default: all."),
  priority: wholeNumber(0)
    .default(0)
    .describe("Where requests wait for a rate limit, those of the lowest number go first. Default: 0."),
});

export const clientKeys = z
  .array(z.union([key, namedKey], { error: `${KEY_EXPECTED}, or a mapping with key, name, rate, models and priority` }))
  .default([])
  .superRefine((keys, ctx) => {
    const names = keys.map(nameOf);
    names.forEach((name, index) => {
      if (names.indexOf(name) < index)
        ctx.addIssue({ code: "custom", path: [index, "name"], message: "this name is used twice" });
    });
  });

/** Those without a name are called by their place. */
function nameOf(key: string | { readonly name?: string | undefined }, index: number): string {
  return (typeof key === "string" ? undefined : key.name) ?? `key-${index + 1}`;
}

/** A key that has a name, with what it may do. */
export interface NamedKey {
  readonly key: string;
  readonly name: string;
  readonly rate: RatePolicy | undefined;
  readonly models: readonly string[] | undefined;
  readonly priority: number;
}

export function namedKeysOf(keys: z.output<typeof clientKeys>): readonly NamedKey[] {
  return keys.flatMap((each, index) => {
    if (typeof each === "string") return [];
    const { key, rate, models, priority } = each;
    return [{ key, name: nameOf(each, index), rate: rate && policyOf(rate), models, priority }];
  });
}
