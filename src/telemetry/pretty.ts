/** Log lines for people: one line each; those of exchanges in words, all others `key=value`. */
import { PinoPretty, type PrettyOptions } from "pino-pretty";
import { exchangeLine } from "./exchange-line.ts";

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
    .map(([key, value]) => `${key}=${shown(value)}`);
  const stack = (log.err as { stack?: unknown } | undefined)?.stack;
  const below = typeof stack === "string" ? `\n${stack}` : "";
  if (log.outcome !== undefined) return exchangeLine(log, shown) + below;
  const line = [log[messageKey], ...fields].filter(Boolean).join(" ");
  return line + below;
}

function shown(value: unknown): string {
  // Quoted unless harmless: a client's text must not move the cursor or fake another field.
  return typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : escapeControls(JSON.stringify(value));
}

/** JSON leaves DEL, C1 controls and bidirectional marks as they are; terminals do not. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
