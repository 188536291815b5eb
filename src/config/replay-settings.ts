/** The settings for answers that are kept, so that clients can come back for them. */
import { z } from "zod";
import { duration, file, size, someTime, text } from "./values.ts";

export const replay = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        ttl: someTime().prefault("5m").describe("How long an answer is kept when it is over, as a duration. Default: 5m."),
        linger: duration()
          .prefault("0s")
          .describe(
            "How long an answer that was to be kept is made on when its last client has left, as a duration; 0 for not at all. Default: 0s.",
          ),
        maxStreamBytes: size()
          .prefault("4MiB")
          .describe("Most that is kept of one answer, the latest of it, as a size. Default: 4MiB."),
        maxTotalBytes: size()
          .prefault("256MiB")
          .describe(
            "Most that is kept of all answers, as a size; those go first that have been over for longest. Default: 256MiB.",
          ),
        joinRetries: z
          .boolean()
          .default(false)
          .describe(
            "A retry that an SDK makes by itself (x-stainless-retry-count) joins the same request of the same client, if that was made within 10 s. Default: false.",
          ),
      }),
    ],
    { error: "expected off, or a mapping with ttl, linger, maxStreamBytes, maxTotalBytes and joinRetries" },
  )
  .default("off")
  .transform((value) => (value === "off" ? false : value))
  .describe(
    "Keep answers for clients that come back: those of requests with x-perennial-replay: 1 or an Idempotency-Key. An empty mapping turns it on. Default: off.",
  );

const REDIS_URL = "expected memory, or a URL such as redis://host:6379/0 (rediss:// for TLS)";
const redisUrl = () =>
  z.string({ error: REDIS_URL }).refine((url) => /^rediss?:\/\/[^/\s]/.test(url) && URL.canParse(url), { error: REDIS_URL });

/** Where answers are kept, for this process alone or for every replica. */
export interface StoreConfig {
  url: string;
  prefix: string;
  /** A file with the authorities that may have signed the server's certificate, in place of the well-known ones. */
  ca?: string | undefined;
  /** Replicas go on with what one of them has begun that has gone. */
  takeover: boolean;
}

export const store = z
  .union(
    [
      z.literal("memory"),
      redisUrl(),
      z.strictObject({
        url: redisUrl().describe(
          "Address of a Redis or Valkey server, redis:// or rediss:// (TLS), with user and password where it wants them. Required.",
        ),
        prefix: text(/^[\w:.{}-]{1,64}$/, "expected a short text of letters, digits and : . - _ { }")
          .default("perennial")
          .describe("Begins every key. Default: perennial."),
        ca: file()
          .optional()
          .describe(
            "PEM file of the certificate authorities that are trusted for a rediss:// server, in place of the well-known ones. Default: not set.",
          ),
        takeover: z
          .boolean()
          .default(false)
          .describe(
            "When a replica is gone, another one goes on with the answers that it was making, as recovery allows, for clients that come back. Requests are stored for that, prompts included, until their answers are whole; credentials never. Needs replay. Default: false.",
          ),
      }),
    ],
    { error: REDIS_URL },
  )
  .default("memory")
  .transform((value): StoreConfig | false => {
    if (value === "memory") return false;
    return typeof value === "string" ? { url: value, prefix: "perennial", takeover: false } : value;
  })
  .describe(
    "Where answers are kept with replay, and rate limits are counted: memory, or a Redis or Valkey server, for every replica together. Default: memory.",
  );

interface TakeoverNeeds {
  readonly store: StoreConfig | false;
  readonly replay: unknown;
  readonly auth: { readonly keys: readonly unknown[] };
  readonly upstreams: readonly {
    readonly apiKey?: unknown;
    readonly apiKeys?: unknown;
    readonly clientKey?: boolean | undefined;
  }[];
}

/** Who goes on with an answer has no client, and so none of its credentials: what they open must be opened by a key of ours. */
export function explainTakeover({ store, replay, auth, upstreams }: TakeoverNeeds, ctx: z.RefinementCtx): void {
  if (store === false || !store.takeover) return;
  const complain = (path: (string | number)[], message: string): void => ctx.addIssue({ code: "custom", path, message });
  if (replay === false)
    complain(["store", "takeover"], "only answers that are kept can be taken over: set replay, such as replay: {}");
  if (auth.keys.length > 0) return;
  const hasKey = ({ apiKey, apiKeys }: TakeoverNeeds["upstreams"][number]): boolean => (apiKey ?? apiKeys) !== undefined;
  const owner = upstreams.find((upstream) => !hasKey(upstream));
  upstreams.forEach((upstream, index) => {
    if (hasKey(upstream) || (upstream !== owner && !upstream.clientKey)) return;
    const message =
      "this upstream is asked with its clients' keys, which are not stored for store.takeover: set apiKey (any word for a server that wants none), or auth.keys";
    complain(["upstreams", index, "apiKey"], message);
  });
}
