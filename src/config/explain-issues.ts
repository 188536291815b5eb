/** Turns the schema's complaints into sentences that say what was expected, and what was there. */
import type { z } from "zod";
import { editDistance } from "../core/edit-distance.ts";
import type { Path } from "./config-file.ts";
import { schemasAt } from "./json-schema.ts";

export interface Complaint {
  readonly path: Path;
  /** Without the place and the key. Holds no secret. */
  readonly message: string;
}

export function explainIssues(issues: readonly z.core.$ZodIssue[], values: unknown): Complaint[] {
  return issues.flatMap((issue) => explain(issue, [], values));
}

function explain(issue: z.core.$ZodIssue, parent: Path, values: unknown): Complaint[] {
  const path = [...parent, ...issue.path];
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => explainUnknownKey(key, path));
  if (issue.code === "invalid_union") {
    // The branch that was meant is the one that did not fail as a whole; its own complaints say more.
    const meant = issue.errors.find((branch) =>
      branch.every(({ code, path }) => path.length > 0 || code === "unrecognized_keys"),
    );
    if (meant) return meant.flatMap((inner) => explain(inner, path, values));
  }
  const value = valueAt(values, path);
  if (value === undefined && issue.code !== "custom") return [{ path, message: `is missing; ${expected(issue)}` }];
  const message = expected(issue);
  return [{ path, message: message.startsWith("expected") ? `${message}, got ${show(value, path, issue)}` : message }];
}

function expected(issue: z.core.$ZodIssue): string {
  if (issue.message !== "") return issue.message;
  if (issue.code === "invalid_value") return `expected ${oneOf(issue.values.map(String))}`;
  if (issue.code === "invalid_type") return `expected ${TYPES[issue.expected] ?? issue.expected}`;
  return "is not valid";
}

const TYPES: Readonly<Record<string, string>> = {
  object: "a mapping",
  array: "a list",
  string: "text",
  boolean: "true or false",
  number: "a number",
};

function show(value: unknown, path: Path, issue: z.core.$ZodIssue): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  // A key may also stand where its list or mapping belongs, or be pasted in the wrong place.
  const structural = issue.code === "invalid_type" && (issue.expected === "object" || issue.expected === "array");
  const secret =
    path.includes("apiKey") || path[0] === "auth" || /^(sk-|bearer )/i.test(String(value)) || /:\/\/.*[@?#]/.test(String(value));
  if (value === "") return "empty text";
  if (structural || secret) return typeof value === "string" ? "some text (not shown)" : `a ${typeof value}`;
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}

function explainUnknownKey(key: string, path: Path): Complaint {
  const known = schemasAt(path).flatMap(({ properties }) => Object.keys(properties ?? {}));
  const similar = known
    .map((name) => ({ name, distance: editDistance(plain(name), plain(key)) }))
    .filter(({ distance, name }) => distance <= 2 && distance < name.length - 1)
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = similar ? `did you mean ${similar.name}?` : `known here: ${known.join(", ")}`;
  // `auth: { sk-123 }` makes a key's name out of a secret.
  if (path[0] === "auth" && !similar) return { path, message: `unknown key; ${hint}` };
  return { path: [...path, key], message: `unknown key; ${hint}` };
}

/** `base_url` and `BaseURL` are both meant as `baseUrl`. */
function plain(key: string): string {
  return key.replace(/[_-]/g, "").toLowerCase();
}

function oneOf(words: readonly string[]): string {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} or ${words.at(-1)}` : String(words[0]);
}

function valueAt(values: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key], values);
}
