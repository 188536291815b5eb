/** Puts the configuration together: defaults, then the file, then the environment, then the flags. */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "./config-error.ts";
import { type ConfigFile, type Path, readConfigFile } from "./config-file.ts";
import { type Env, envSettings, type Setting, toNumber } from "./env.ts";
import { type Complaint, explainIssues } from "./explain-issues.ts";
import { firstUpstreamIn, pathInFirstUpstream } from "./first-upstream.ts";
import { explainKeyShape } from "./key-shape.ts";
import { findPemProblems } from "./pem-files.ts";
import { applyProfile } from "./profiles.ts";
import { type Config, configSchema } from "./schema.ts";
import { warnOfParts } from "./worker-settings.ts";

/** The file that is read when none is named and it is there. */
export const DEFAULT_FILE = "perennial.yaml";

/** What cannot stand without an upstream, by where it was set. */
const STRAY: ReadonlyMap<string, string> = new Map([
  ["PERENNIAL_API_KEY", "there is no upstream for this key; set PERENNIAL_UPSTREAM too, or name one in the file"],
  ["--profile", "there is no upstream for this profile; give --upstream too, or name one in the file"],
]);

/** Command-line flags, as typed. */
export interface ConfigFlags {
  readonly upstream?: string | undefined;
  /** Presets for the upstream. */
  readonly profile?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly logLevel?: string | undefined;
  /** Only warnings and errors, unless `logLevel` says otherwise. */
  readonly quiet?: boolean | undefined;
  /** The log as JSON, on a terminal too. */
  readonly json?: boolean | undefined;
}

export interface LoadOptions {
  /** From `--config`. Otherwise `PERENNIAL_CONFIG` names the file, or it is `perennial.yaml` in `cwd` if there is one. */
  readonly file?: string | undefined;
  readonly env: Env;
  readonly flags: ConfigFlags;
  readonly cwd: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the file that was read; undefined when there was none. */
  readonly file: string | undefined;
  /** What its user should know of, one sentence each. They hold no secret. */
  readonly warnings: readonly string[];
}

/**
 * The configuration to run with.
 * @throws ConfigError with every problem that was found
 */
export function loadConfig({ file, env, flags, cwd }: LoadOptions): LoadedConfig {
  const name = file ?? (env.PERENNIAL_CONFIG || (existsSync(resolve(cwd, DEFAULT_FILE)) ? DEFAULT_FILE : undefined));
  const path = name === undefined ? undefined : resolve(cwd, name);
  const source = path === undefined || name === undefined ? undefined : readConfigFile(path, name, env);

  const all = [...envSettings(env), ...flagSettings(flags)];
  const stray = hasUpstream(source?.values, all) ? [] : all.filter(({ origin }) => STRAY.has(origin));
  const foreign = foreignKey(source?.values, all);
  const settings = [...foreign, ...all.filter((setting) => !stray.includes(setting))];
  const values = settings.reduce<unknown>((values, { path, value }) => withValue(values, path, value), source?.values ?? {});

  // A value that could not be expanded is reported for that alone, and not at all when something stronger takes its place.
  const unread = (source?.problems ?? []).filter(({ path }) => originOf(settings, path) === undefined);
  const unreadPaths = new Set(unread.map(({ path }) => formatPath(path)));
  const parsed = configSchema.safeParse(applyProfile(values), { error: () => "" });
  const problems = parsed.success
    ? []
    : explainIssues(parsed.error.issues, values).filter(({ path }) => !unreadPaths.has(formatPath(path)));
  problems.push(...unread);
  const config = parsed.success ? withWholePaths(parsed.data, path === undefined ? cwd : dirname(path)) : undefined;
  if (config !== undefined) problems.push(...findPemProblems(config));
  const origins = [...new Set(foreign.map(({ origin }) => origin))];
  const warnings = [...origins.map(warnOfForeign), ...warnOfKeys(config), ...(config === undefined ? [] : warnOfParts(config))];
  if (config !== undefined && problems.length + stray.length === 0) return { config, file: path, warnings };

  const strayLines = stray.map(({ origin }) => `${origin}: ${STRAY.get(origin)}`);
  throw new ConfigError([...strayLines, ...formatProblems(problems, source, settings)]);
}

/** Files are named from the folder of the configuration, wherever the program is started. */
function withWholePaths(config: Config, folder: string): Config {
  const { tls, upstreams, store, record } = config;
  return {
    ...config,
    store: store === false || store.ca === undefined ? store : { ...store, ca: resolve(folder, store.ca) },
    record: record === false ? false : { ...record, dir: resolve(folder, record.dir) },
    tls: tls === false ? false : { cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) },
    upstreams: upstreams.map((upstream) =>
      upstream.ca === undefined ? upstream : { ...upstream, ca: resolve(folder, upstream.ca) },
    ),
  };
}

/** Each with its place: the flag or the variable first, then the lines of the file in their order. */
function formatProblems(problems: readonly Complaint[], source: ConfigFile | undefined, settings: readonly Setting[]): string[] {
  const located = problems.map(({ path, message }) => {
    const origin = originOf(settings, path);
    if (origin !== undefined) return { offset: -1, line: `${origin}: ${message}` };
    const { place, offset } = source?.locate(path) ?? { place: "", offset: -1 };
    return { offset, line: [place, formatPath(path), message].filter((part) => part !== "").join(": ") };
  });
  // A value may fail several rules that have the same sentence.
  return [...new Set(located.sort((a, b) => a.offset - b.offset).map(({ line }) => line))];
}

/** An empty flag stays, for the schema to complain about: it is a shell's unset variable, and no wish for the sandbox. */
function flagSettings({ upstream, profile, host, port, logLevel, quiet, json }: ConfigFlags): Setting[] {
  const settings: Setting[] = [
    { origin: "--upstream", path: pathInFirstUpstream("baseUrl"), value: upstream },
    { origin: "--profile", path: pathInFirstUpstream("profile"), value: profile },
    { origin: "--host", path: ["host"], value: host },
    { origin: "--port", path: ["port"], value: toNumber(port) },
    { origin: "--quiet", path: ["log", "level"], value: quiet ? "warn" : undefined },
    { origin: "--log-level", path: ["log", "level"], value: logLevel },
    { origin: "--json", path: ["log", "format"], value: json ? "json" : undefined },
  ];
  return settings.filter(({ value }) => value !== undefined);
}

/** The flag or variable that set the value at `path`, or the list around it: the last one wins, as it did for the value. */
function originOf(settings: readonly Setting[], path: Path): string | undefined {
  return settings.findLast((setting) => setting.path.every((part, index) => part === path[index]))?.origin;
}

/** Whether there is an upstream for an apiKey from the environment. */
function hasUpstream(fileValues: unknown, settings: readonly Setting[]): boolean {
  const upstreams = (fileValues as { upstreams?: unknown } | undefined)?.upstreams;
  return settings.some(({ path }) => path.at(-1) === "baseUrl") || (Array.isArray(upstreams) && upstreams.length > 0);
}

/**
 * Takes the file's apiKey away from an upstream that it was not written for: one at another origin than the file's, named by the
 * environment or a flag. Where no origin can be told, the key goes nowhere.
 */
function foreignKey(fileValues: unknown, settings: readonly Setting[]): Setting[] {
  const { baseUrl, apiKey, apiKeys } = firstUpstreamIn(fileValues);
  const named = settings.findLast(({ path }) => path.at(-1) === "baseUrl");
  if (named === undefined || baseUrl === undefined || originOfUrl(named.value) === originOfUrl(baseUrl)) return [];
  const isReplaced = settings.some(({ path }) => path.at(-1) === "apiKey");
  const takeAway = (key: "apiKey" | "apiKeys"): Setting => ({
    origin: named.origin,
    path: pathInFirstUpstream(key),
    value: undefined,
  });
  return [
    ...(typeof apiKey === "string" && apiKey !== "" && !isReplaced ? [takeAway("apiKey")] : []),
    ...(Array.isArray(apiKeys) ? [takeAway("apiKeys")] : []),
  ];
}

function warnOfForeign(origin: string): string {
  return `${origin} names another host than the file, so the file's apiKey is not sent to it; set PERENNIAL_API_KEY for a key of its own`;
}

/** By its shape alone; nothing of a key is said. */
function warnOfKeys(config: Config | undefined): string[] {
  return (config?.upstreams ?? []).flatMap(({ name, baseUrl, apiKey, apiKeys }) => {
    const problems = (apiKeys ?? [apiKey]).map((key) => (key === undefined ? undefined : explainKeyShape(baseUrl, key)));
    return [...new Set(problems.filter((problem) => problem !== undefined))].map(
      (problem) => `upstream ${name}: the key ${problem}`,
    );
  });
}

function originOfUrl(url: unknown): string | undefined {
  return typeof url === "string" && URL.canParse(url) ? new URL(url).origin : undefined;
}

/** A copy with the value at `path`. A parent of the wrong type stays as it is, for the schema to complain about. */
function withValue(parent: unknown, [key, ...rest]: Setting["path"], value: unknown): unknown {
  if (key === undefined) return value;
  const container = parent ?? (typeof key === "number" ? [] : {});
  if (typeof container !== "object" || Array.isArray(container) !== (typeof key === "number")) return parent;
  const copy = Array.isArray(container) ? [...container] : { ...container };
  Object.assign(copy, { [key]: withValue((container as Record<PropertyKey, unknown>)[key], rest, value) });
  return copy;
}

/** `upstreams[0].baseUrl` */
function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text}${text && "."}${String(key)}`),
    "",
  );
}
