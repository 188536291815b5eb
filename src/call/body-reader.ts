/** What an attempt does with a response body; one reader for each kind of body. */
import type { Failure } from "../core/failure.ts";

export interface BodyReader {
  onData(chunk: Buffer): void;
  /** The body has ended; `cause` says why, when that was not a clean end. Called once. */
  onEnd(cause: Failure | undefined): void;
}
