/** How an exchange ended: exactly one of these, in the log line and wherever exchanges are counted. */
export type Outcome =
  /** Whole, at the first attempt, as the upstream sent it. */
  | "complete"
  /** Whole, after a retry the client never noticed. */
  | "recovered"
  /** Whole; Perennial supplied a missing terminator, or turned a JSON answer into a stream. */
  | "repaired"
  /** Whole, continued across a break. */
  | "resumed"
  /** An HTTP error, before any byte of an answer. */
  | "failed"
  /** An error event, after some bytes. */
  | "interrupted"
  /** The client left. */
  | "cancelled"
  /** Perennial refused; the upstream was never asked. */
  | "rejected";
