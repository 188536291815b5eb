/** Bytes of an upstream, written as a case in the format of test/cases/. */
import type { Step } from "./case-file.ts";
import { PLACEHOLDER } from "./do-steps.ts";

/** One read of a connection. */
export interface Read {
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** Reads closer together than this, in milliseconds, are written without a wait between them. */
const SAME_MOMENT_MS = 2;

/** As it came: each read with its wait before it; text where it is text. @param bytes of all reads, masked. */
export function toSteps(reads: readonly Read[], bytes: Buffer, startedAt: number, end: Step["end"] | undefined): Step[] {
  const steps: Step[] = [];
  let before = startedAt;
  let from = 0;
  for (const { at, bytes: read } of reads) {
    const waited = Math.round(at - before);
    if (waited >= SAME_MOMENT_MS) steps.push({ wait: waited });
    before = at;
    const part = bytes.subarray(from, from + read.length);
    from += read.length;
    const text = part.toString("utf8");
    const isText = Buffer.from(text).equals(part) && !PLACEHOLDER.test(text);
    steps.push(isText ? { send: text } : { base64: part.toString("base64") });
  }
  return end === undefined ? steps : [...steps, { end }];
}

export interface CaseParts {
  readonly id: string;
  readonly model: string | undefined;
  readonly path: string | undefined;
  readonly body: Readonly<Record<string, unknown>> | undefined;
  readonly responses: readonly (readonly Step[])[];
}

/** What is expected is for the reporter to say: until then any ending will do. */
export function toCase({ id, model, path, body, responses }: CaseParts): object {
  const expect = { told: ["whole", "error-event", "http-error"] };
  return {
    id,
    title: "captured; say here what is wrong with it, and in `expect` what the client should be told",
    source: `perennial record, ${new Date().toISOString().slice(0, 10)}${model === undefined ? "" : `, model ${model}`}`,
    asks: [{ path, body: body ?? {}, expect }],
    responses,
  };
}

/** The credentials that a client presented, with their scheme and without. */
export function secretsOf(headers: Readonly<Record<string, string | string[] | undefined>>): string[] {
  const presented = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"].flatMap((name) => headers[name] ?? []);
  const cookies = presented.flatMap((value) => value.split(/;\s*/).map((cookie) => cookie.slice(cookie.indexOf("=") + 1)));
  return [...presented.flatMap((value) => [value, value.replace(/^\S+ /, "")]), ...cookies];
}

/** @returns undefined for what is no JSON object. */
export function parseObject(body: Buffer): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(body.toString());
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
