/** Counts the bytes of a request body that is passed on unread, and stops one that is too large. */

import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { Failure } from "../core/failure.ts";

/**
 * @param maxBytes `limits.maxBodyBytes`.
 * @param onTooLarge called once when the body turns out larger than it may be.
 * @throws Failure `body_too_large` when the announced length alone is too large.
 */
export function limitBody(incoming: IncomingMessage, maxBytes: number, onTooLarge: (failure: Failure) => void): Transform {
  const failure = new Failure("body_too_large", "The request body is larger than limits.maxBodyBytes allows.");
  if (Number(incoming.headers["content-length"] ?? 0) > maxBytes) throw failure;
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytes += chunk.length;
      if (bytes > maxBytes) onTooLarge(failure);
      else callback(null, chunk);
    },
  });
  incoming.once("error", (error) => counted.destroy(error));
  return incoming.pipe(counted);
}
