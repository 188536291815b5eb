/** The logger: JSON lines, or readable ones on a terminal; secrets that slip through are masked. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import { createPrettyStream } from "./pretty.ts";

export interface LogOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** `auto` is pretty when stdout is a terminal, and JSON elsewhere. */
  readonly format: "auto" | "json" | "pretty";
}

const SECRETS = [
  "authorization",
  "Authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "api-key",
  "apiKey",
];

// A second net: nothing should log headers or configuration in the first place.
// Paths are spelled out because a leading wildcard costs 10 µs a line and more; these cost next to nothing.
const PARENTS = [
  "",
  "headers",
  "req.headers",
  "request.headers",
  "exchange.request.headers",
  "res.headers",
  "upstreams[*]",
  "config.upstreams[*]",
];
const REDACTED = [
  ...PARENTS.flatMap((parent) => SECRETS.map((name) => `${parent}["${name}"]`)),
  "auth.keys",
  "auth.named",
  "config.auth.keys",
  "config.auth.named",
];

/** Lines say `upstream` for its name, and nothing else of it. Not by a path above, which each of these lines would be searched for. */
function nameOf(upstream: unknown): unknown {
  return typeof upstream === "object" ? (upstream as { readonly name?: unknown } | null)?.name : upstream;
}

/** @param destination where the lines go. @defaultValue stdout */
export function createLogger({ level, format }: LogOptions, destination?: DestinationStream): Logger {
  const { isTTY } = (destination ?? process.stdout) as { isTTY?: boolean };
  const isTerminal = isTTY === true;
  const isPretty = format === "pretty" || (format === "auto" && isTerminal);
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACTED, censor: "[redacted]" },
    serializers: { upstream: nameOf },
  };
  if (isPretty) return pino(options, createPrettyStream(destination, isTerminal && process.env.NO_COLOR === undefined));
  return destination ? pino(options, destination) : pino(options);
}
