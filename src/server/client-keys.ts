/** Who may use this proxy: the keys that clients must present, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** The identity that limits are counted against, where no key is needed; otherwise the digest of the key. */
export const NO_KEY_NEEDED = "";

/** @param keys accepted keys; none means that no key is needed. @returns the identity of the key that the headers present; undefined without a valid one. */
export function createKeyCheck(keys: readonly string[]): (headers: IncomingHttpHeaders) => string | undefined {
  // Digests have one length, so that neither the length nor the first difference of a key shows in the time taken.
  const digests = keys.map(digest);
  const names = digests.map((key) => key.toString("base64"));
  return (headers) => {
    if (digests.length === 0) return NO_KEY_NEEDED;
    const presented = digest(presentedKey(headers));
    let known = -1;
    // Every key is compared, whichever matches.
    digests.forEach((key, index) => {
      if (timingSafeEqual(key, presented)) known = index;
    });
    return names[known];
  };
}

function presentedKey(headers: IncomingHttpHeaders): string {
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? String(headers["x-api-key"] ?? headers["api-key"] ?? "");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
