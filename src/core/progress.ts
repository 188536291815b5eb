/** What a client can be told while it waits for its answer (`progress: true`). */
export type Progress =
  /** It waits for a rate limit, and so many are to pass before it. */
  | { readonly at: "queue"; readonly ahead: number }
  /** An attempt has failed unseen, and this one follows, of so many that there may be; at another upstream, where one is named. */
  | { readonly at: "attempt"; readonly number: number; readonly of: number; readonly upstream: string | undefined };
