/** All that stands in a Redis. */
import type { Redis } from "ioredis";

export interface KeptKey {
  readonly key: string;
  readonly type: string;
  /** The value, as JSON. */
  readonly text: string;
  /** Until it expires, in milliseconds; below zero where it does not. */
  readonly ttlMs: number;
}

export async function keptKeys(client: Redis): Promise<KeptKey[]> {
  const kept: KeptKey[] = [];
  for (const key of await client.keys("*")) {
    const type = await client.type(key);
    const value =
      type === "stream"
        ? await client.xrange(key, "-", "+")
        : type === "hash"
          ? await client.hgetall(key)
          : type === "string"
            ? await client.get(key)
            : "";
    kept.push({ key, type, text: JSON.stringify(value), ttlMs: await client.pttl(key) });
  }
  return kept;
}
