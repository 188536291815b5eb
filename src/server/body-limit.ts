/** Request bodies: read whole within `limits.maxBodyBytes`, or passed on unread. */
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { Failure } from "../core/failure.ts";

/** A body that is passed on unread: of any size, since none of it is kept. */
export function passBody(incoming: IncomingMessage): PassThrough {
  const passed = new PassThrough();
  incoming.once("error", (error) => passed.destroy(error));
  // While the upload waits for a connection no other part listens, and an error without a listener would end the process.
  passed.on("error", () => {});
  return incoming.pipe(passed);
}

/**
 * The whole body. Fastify's own limit is fixed when the server is made; this one may change with the configuration.
 * @throws Failure `body_too_large`, or `invalid_request` when the body does not come to its end.
 */
export function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (announcedBytes(incoming) > maxBytes) throw tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        incoming.removeAllListeners("data");
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    incoming.once("end", () => resolve(Buffer.concat(chunks, bytes)));
    const brokeOff = (cause?: unknown): void => reject(new Failure("invalid_request", "The request body broke off.", { cause }));
    incoming.once("error", brokeOff);
    // Without it a body that ends without an end would be waited for, and keep its place, for ever.
    incoming.once("close", () => brokeOff());
  });
}

function announcedBytes({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

function tooLarge(): Failure {
  return new Failure("body_too_large", "The request body is larger than limits.maxBodyBytes allows.");
}
