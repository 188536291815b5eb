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

/** Where the bytes of a body are counted while they are read, and as long as they are kept. */
export interface BodyAccount {
  /** @throws Failure `overloaded` when there is no room for them. */
  take(bytes: number): void;
  /** @param listener what the reading ends with. */
  onEvicted(listener: (failure: Failure) => void): void;
}

/**
 * The whole body. Fastify's own limit is fixed when the server is made; this one may change with the configuration.
 * @throws Failure `body_too_large`, `overloaded`, or `invalid_request` when the body does not come to its end.
 */
export function readBody(incoming: IncomingMessage, maxBytes: number, account?: BodyAccount): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (announcedBytes(incoming) > maxBytes) throw tooLarge();
    let chunks: Buffer[] = [];
    let bytes = 0;
    const refuse = (refusal: unknown): void => {
      incoming.removeAllListeners("data");
      chunks = [];
      reject(refusal);
    };
    account?.onEvicted(refuse);
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      try {
        if (bytes > maxBytes) throw tooLarge();
        account?.take(chunk.length);
        chunks.push(chunk);
      } catch (refusal) {
        refuse(refusal);
      }
    });
    const brokeOff = (cause?: unknown): void => reject(new Failure("invalid_request", "The request body broke off.", { cause }));
    // Without it a body that ends without an end would be waited for, and keep its place, for ever.
    const onClose = (): void => brokeOff();
    incoming.once("end", () => {
      resolve(Buffer.concat(chunks, bytes));
      // Or each request that has ended well would make an Error, with its stack, for nobody.
      incoming.off("close", onClose);
      // The listeners live as long as the request, and would keep the body a second time.
      chunks = [];
    });
    incoming.once("error", brokeOff);
    incoming.once("close", onClose);
    // Its client may have left while a place was waited for: then neither will come any more.
    if (incoming.destroyed) onClose();
  });
}

function announcedBytes({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

function tooLarge(): Failure {
  return new Failure("body_too_large", "The request body is larger than limits.maxBodyBytes allows.");
}
