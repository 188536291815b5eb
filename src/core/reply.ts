/** An HTTP reply of the upstream's, as it is passed on. */

export type ReplyHeaders = Readonly<Record<string, string | string[]>>;

/** Kept whole, so that it can be passed on byte for byte. */
export interface UpstreamReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Buffer;
}
