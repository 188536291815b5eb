/** Server-sent events in wire form: `data` alone, or with an `event` line. Never `id` or `retry`, which break clients. */

import type { StreamEvent } from "../core/stream-event.ts";

/** `data` goes out as it came in; a line feed inside it needs a field of its own for each line. */
export function encodeData(data: string): string {
  if (data.includes("\n")) return `data: ${data.replaceAll("\n", "\ndata: ")}\n\n`;
  return `data: ${data}\n\n`;
}

/** An event with a name, for the dialects that have them. */
export function encodeNamed(event: string, data: string): string {
  return `event: ${event}\n${encodeData(data)}`;
}

/** An event without its name; as it came, where it came so. */
export function encodeUnnamed(event: StreamEvent): string | Buffer {
  return (event.event === undefined ? event.bytes : undefined) ?? encodeData(event.data);
}

/**
 * A comment of one line. As a block, which a blank line ends; or as the line alone, for clients to which a blank line always ends an event.
 */
export function encodeComment(text: string, isLine: boolean): string {
  return isLine ? `: ${text}\n` : `: ${text}\n\n`;
}

/** Not `: ping`, which one editor plugin takes for the end of the stream. */
export const KEEP_ALIVE = ": keep-alive\n\n";

/** For clients to which a blank line always ends an event. Readers that split at blank lines lose the event behind it: no default. */
export const KEEP_ALIVE_LINE = ": keep-alive\n";
