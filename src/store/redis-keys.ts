/** What stands where in Redis; everything under one prefix, and nothing without an end. */
export interface RedisKeys {
  /** A hash: facts, head, end. */
  meta(id: string): string;
  /** A Redis Stream: entry `n-0` is event number n. */
  events(id: string): string;
  /** There while its maker lives: "1" where an upstream works on it. */
  lease(id: string): string;
  /** Which stream a request that was made before has. */
  name(name: string): string;
  /** What was taken of a rate limit: a hash of a window, a sorted set of places. */
  rate(digest: string): string;
  /** Published to when there is more of a stream. */
  channel(id: string): string;
  /** Published to by other replicas: what they want of one that makes a stream. */
  replica(replica: string): string;
}

export function createKeys(prefix: string): RedisKeys {
  return {
    meta: (id) => `${prefix}:stream:${id}`,
    events: (id) => `${prefix}:events:${id}`,
    lease: (id) => `${prefix}:lease:${id}`,
    name: (name) => `${prefix}:name:${name}`,
    rate: (digest) => `${prefix}:rate:${digest}`,
    channel: (id) => `${prefix}:more:${id}`,
    replica: (replica) => `${prefix}:replica:${replica}`,
  };
}
