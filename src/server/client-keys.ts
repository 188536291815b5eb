/** Who may use this proxy: the keys that clients must present, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Whom a request is counted for: the digest of its key, or this when nobody needs one. */
export const ANYBODY = "";

/** @param keys accepted keys; none means that everybody may. @returns whose key the headers present; undefined for nobody's. */
export function createKeyCheck(keys: readonly string[]): (headers: IncomingHttpHeaders) => string | undefined {
  // Digests have one length, so that neither the length nor the first difference of a key shows in the time taken.
  const digests = keys.map(digest);
  const names = digests.map((key) => key.toString("base64"));
  return (headers) => {
    if (digests.length === 0) return ANYBODY;
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
