/** Log lines for people: one line each, `key=value`, attempts in short form. */
import { PinoPretty, type PrettyOptions } from "pino-pretty";

type Log = Record<string, unknown>;

/** A synchronous stream, not a worker: the last line before an exit must not be lost. */
export function createPrettyStream(destination: PrettyOptions["destination"], colorize: boolean) {
  return PinoPretty({
    destination: destination ?? 1,
    sync: true,
    colorize,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    hideObject: true,
    messageFormat: (log, messageKey) => formatLine(log, messageKey),
  });
}

function formatLine(log: Log, messageKey: string): string {
  const fields = Object.entries(log)
    .filter(([key, value]) => ![messageKey, "time", "level", "err"].includes(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${formatValue(key, value)}`);
  const line = [log[messageKey], ...fields].filter(Boolean).join(" ");
  const stack = (log.err as { stack?: unknown } | undefined)?.stack;
  return typeof stack === "string" ? `${line}\n${stack}` : line;
}

function formatValue(key: string, value: unknown): string {
  if (key === "attempts" && Array.isArray(value)) return value.map(formatAttempt).join(",");
  // Quoted unless harmless: a client's text must not move the cursor or fake another field.
  return typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : escapeControls(JSON.stringify(value));
}

/** `2:main:503:upstream_status:120ms` */
function formatAttempt({ n, upstream, status, failure, ms }: Log): string {
  return [n, upstream, status, failure, `${ms}ms`].filter((part) => part !== undefined).join(":");
}

/** JSON leaves DEL, C1 controls and bidirectional marks as they are; terminals do not. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
