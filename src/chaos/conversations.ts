/** Counts the attempts of each conversation, so that `empty,ok` breaks the first attempt and lets the second pass. */
import { createHash } from "node:crypto";

export interface Conversations {
  /** The number of the attempt within the sequence, from 0; after the last of `length` it begins again. */
  nextAttempt(key: string, length: number): number;
  readonly size: number;
}

export interface ConversationsOptions {
  /** A conversation is forgotten this long after its last attempt. @defaultValue 600_000 */
  readonly ttlMs?: number;
  /** The oldest conversations are forgotten beyond this many. @defaultValue 10_000 */
  readonly limit?: number;
  readonly now?: () => number;
}

export function createConversations({
  ttlMs = 600_000,
  limit = 10_000,
  now = () => performance.now(),
}: ConversationsOptions = {}): Conversations {
  // A Map keeps the order of insertion, and every attempt is inserted anew: the first entries are the oldest.
  const attempts = new Map<string, { count: number; at: number }>();

  function forgetOld(): void {
    const oldest = now() - ttlMs;
    for (const [key, { at }] of attempts) {
      if (at > oldest && attempts.size <= limit) return;
      attempts.delete(key);
    }
  }

  return {
    nextAttempt(key, length) {
      if (length <= 1) return 0;
      forgetOld();
      const count = attempts.get(key)?.count ?? 0;
      attempts.delete(key);
      if (count + 1 < length) attempts.set(key, { count: count + 1, at: now() });
      return count;
    },
    get size() {
      return attempts.size;
    },
  };
}

/**
 * What makes two requests one conversation: the same SPEC and the same body. `stream` and `stream_options` do not count,
 * because a proxy may ask again without streaming.
 */
export function conversationKey(spec: string, path: string, body: Readonly<Record<string, unknown>>): string {
  const { stream: _, stream_options: __, ...rest } = body;
  return createHash("sha256")
    .update(JSON.stringify([spec, path, rest]))
    .digest("base64");
}
