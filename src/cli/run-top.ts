/** `perennial top`: the dashboard's feed, in a terminal. */
import type { StreamEvent } from "../core/stream-event.ts";
import { createSseDecoder } from "../sse/decode.ts";
import type { DashboardView } from "../telemetry/history/view.ts";
import { topScreen } from "./top-screen.ts";

export interface TopOptions {
  /** Where Perennial listens, without /v1. */
  readonly url: string;
  /** One of `auth.keys`, where there are any. */
  readonly key?: string | undefined;
  /** Show it once, and end. */
  readonly once: boolean;
}

export interface TopContext {
  readonly write: (text: string) => unknown;
  readonly tell: (text: string) => unknown;
  readonly size: () => { readonly rows: number; readonly columns: number };
  /** The screen may be written over. */
  readonly isTerminal: boolean;
}

const MAX_EVENT_BYTES = 16_777_216;
/** From the upper left corner, over what was there. */
const HOME = "\u001b[H\u001b[J";

/** @returns the exit code: 1 where there is nothing to be shown, or no more. */
export async function runTop({ url, key, once }: TopOptions, context: TopContext): Promise<0 | 1> {
  const closed = new AbortController();
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  let shown = false;
  const onEvent = ({ data }: StreamEvent): void => {
    if (once && shown) return;
    shown = true;
    const { rows, columns } = context.size();
    const lines = topScreen(JSON.parse(data) as DashboardView, rows, columns);
    context.write(`${context.isTerminal && !once ? HOME : ""}${lines.join("\n")}\n`);
  };
  try {
    const reply = await fetch(`${url}/dashboard/feed`, { headers, signal: closed.signal });
    if (reply.status !== 200) {
      await reply.body?.cancel();
      context.tell(`${explain(reply.status)}\n`);
      return 1;
    }
    const decoder = createSseDecoder({ onEvent, onStrayLine() {} }, MAX_EVENT_BYTES);
    for await (const chunk of reply.body ?? []) {
      decoder.feed(Buffer.from(chunk));
      if (once && shown) return 0;
    }
    context.tell("Perennial has ended.\n");
  } catch {
    context.tell(shown ? "Perennial is gone.\n" : `nothing listens at ${url}: start perennial, or name its address with --url\n`);
  } finally {
    closed.abort();
  }
  return 1;
}

function explain(status: number): string {
  if (status === 401) return "it wants a key: --key, one of auth.keys";
  if (status === 404) return "it has no dashboard: see the setting dashboard";
  return `the feed answered ${status}`;
}
