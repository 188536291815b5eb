/** Reads the YAML file: plain values, and where each of them stands, for errors that name the line. */
import { readFileSync, statSync } from "node:fs";
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Scalar } from "yaml";
import { ConfigError } from "./config-error.ts";
import type { Env } from "./env.ts";
import { expandVariables } from "./expand.ts";
import { schemasAt } from "./json-schema.ts";

export type Path = readonly PropertyKey[];

export interface ConfigFile {
  /** Not validated; undefined when the file is empty. */
  readonly values: unknown;
  /** Values that could not be expanded; to be reported, and not judged any further. */
  readonly problems: readonly { readonly path: Path; readonly message: string }[];
  /** Where the key stands, or the nearest key around it: `perennial.yaml:7:3`, and the offset to sort by. */
  locate(path: Path): { readonly place: string; readonly offset: number };
}

/**
 * @param name how errors call the file
 * @throws ConfigError when the file cannot be read, or is no YAML
 */
export function readConfigFile(path: string, name: string, env: Env): ConfigFile {
  let source: string;
  try {
    // A pipe may never end, a device has no end; and neither can be read again on a reload.
    if (!statSync(path).isFile())
      throw new Error(statSync(path).isDirectory() ? "it is a directory" : "it is not a regular file");
    source = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError([`${name}: cannot be read: ${reason(error)}`]);
  }
  return parseConfig(source, name, env);
}

function parseConfig(source: string, name: string, env: Env): ConfigFile {
  const lineCounter = new LineCounter();
  // No pretty errors: they quote the source, which may hold a key.
  const doc = parseDocument(source, { lineCounter, prettyErrors: false, logLevel: "error" });
  const at = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return `${name}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const syntaxErrors = [...doc.errors, ...doc.warnings];
  // To YAML, ${ begins a mapping; what it makes of the rest would only distract.
  const bare = syntaxErrors.filter(({ pos }) => source.slice(pos[0] - 1, pos[0] + 1) === "${");
  const faults = (bare.length > 0 ? bare : syntaxErrors).map(({ pos, code, message }) => {
    return `${at(pos[0])}: ${bare.length > 0 ? BARE_VARIABLE : syntaxMessage(code, message, source, pos[0])}`;
  });
  if (faults.length > 0) throw new ConfigError(faults);

  const offsets = new Map<string, number>();
  const problems: { path: Path; message: string }[] = [];
  const visit = (node: unknown, path: Path) => {
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        const child = [...path, String(isScalar(key) ? key.value : key)];
        remember(key, child);
        // A key with no value counts as not set, so that a section may have all its lines commented out.
        if (isScalar(value) && value.value === null) value.value = undefined;
        visit(value, child);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        remember(item, [...path, index]);
        visit(item, [...path, index]);
      });
    } else if (isAlias(node) && node.resolve(doc) === undefined) {
      // Not named here: a key that begins with * and lacks its quotes looks like this.
      faults.push(`${at(node.range?.[0] ?? 0)}: this alias stands for nothing; text that begins with * needs quotes`);
    } else if (isScalar(node)) {
      try {
        node.value = scalarValue(node, path, env);
      } catch (error) {
        problems.push({ path, message: reason(error) });
      }
    }
  };
  const remember = (node: unknown, path: Path) => {
    const range = (node as { range?: [number, number, number] | null } | null)?.range;
    if (range) offsets.set(pathKey(path), range[0]);
  };
  visit(doc.contents, []);
  if (faults.length > 0) throw new ConfigError(faults);

  return {
    values: toValues(doc, name),
    problems,
    locate(path) {
      for (let length = path.length; length > 0; length--) {
        const offset = offsets.get(pathKey(path.slice(0, length)));
        if (offset !== undefined) return { place: at(offset), offset };
      }
      return { place: at(0), offset: 0 };
    },
  };
}

function toValues(doc: Document, name: string): unknown {
  try {
    return doc.toJS() ?? undefined;
  } catch {
    // The one error left, and its message may quote the file.
    throw new ConfigError([`${name}: cannot be read: its aliases expand to far too much`]);
  }
}

function scalarValue(node: Scalar, path: Path, env: Env): unknown {
  const { value } = node;
  // A key made of digits is still a key: `apiKey: 0012` must not become 12.
  if (typeof value === "number" || typeof value === "boolean") return isText(path) ? (node.source ?? String(value)) : value;
  if (typeof value !== "string" || !value.includes("${")) return value;
  const expanded = expandVariables(value, env);
  // Quotes count only where any value may stand: inside [ ] and { }, YAML needs them around every variable.
  if (node.type !== "PLAIN" && schemasAt(path).length === 0) return expanded;
  // Not set; but a list or a mapping, such as auth.keys, must not vanish with a variable.
  if (expanded === "") return schemasAt(path).every(({ type }) => type !== "object" && type !== "array") ? undefined : "";
  return isText(path) ? expanded : retype(expanded);
}

/** What an unquoted scalar would have been, had the variable's value stood in the file. */
function retype(text: string): unknown {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return /^[-+]?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

/** Whether the setting takes text, and nothing else. */
function isText(path: Path): boolean {
  // A mapping or a list that may stand there as well is none of it.
  const schemas = schemasAt(path).filter(({ type }) => type !== "object" && type !== "array");
  return schemas.length > 0 && schemas.every(({ type }) => type === "string");
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: it shows the file's syntax, not ours
const BARE_VARIABLE = 'not valid YAML: inside [ ] and { }, a value with a variable needs quotes: "${NAME}"';

function syntaxMessage(code: string, message: string, source: string, offset: number): string {
  if (code === "DUPLICATE_KEY") return `the key ${/^[\w.-]*/.exec(source.slice(offset))?.[0]} is there twice`;
  // What follows a colon is quoted from the file and may be a secret.
  return `not valid YAML: ${message.replace(/(?<=[\w)]): .*$|(?<=scalar) ".*$/s, "")}`;
}

function pathKey(path: Path): string {
  return JSON.stringify(path.map(String));
}

function reason(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "permission denied";
  return error instanceof Error ? error.message : String(error);
}
