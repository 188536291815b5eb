/** Who may use this proxy: the keys that clients must present, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** @param keys accepted keys; none means that everybody may. @returns whether the headers present one of them. */
export function createKeyCheck(keys: readonly string[]): (headers: IncomingHttpHeaders) => boolean {
  // Digests have one length, so that neither the length nor the first difference of a key shows in the time taken.
  const digests = keys.map(digest);
  return (headers) => {
    if (digests.length === 0) return true;
    const presented = digest(presentedKey(headers));
    let known = false;
    // Every key is compared, whichever matches.
    for (const key of digests) known = timingSafeEqual(key, presented) || known;
    return known;
  };
}

function presentedKey(headers: IncomingHttpHeaders): string {
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? String(headers["x-api-key"] ?? headers["api-key"] ?? "");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
