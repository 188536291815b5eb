/** Who may look, where keys are set: a key is taken once, and a cookie that opens nothing but the dashboard stands for it. */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface Sessions {
  /** False where no keys are set, and none is asked for. */
  readonly needed: boolean;
  /** @returns what the cookie is to hold; undefined when it is no key. */
  open(key: string): string | undefined;
  isOpen(token: string | undefined): boolean;
}

const PURPOSE = "the dashboard of Perennial";

/** A token is made of its key, so that it outlives a restart, and ends with the key. It cannot be turned back into the key. */
export function createSessions(keys: readonly string[]): Sessions {
  const tokens = keys.map(tokenOf);
  const isOpen = (token = ""): boolean => {
    const presented = Buffer.from(token, "base64url");
    // Every one is compared, whichever matches.
    return tokens.map((known) => presented.length === known.length && timingSafeEqual(known, presented)).includes(true);
  };
  return {
    needed: keys.length > 0,
    isOpen,
    open(key) {
      const token = tokenOf(key).toString("base64url");
      return isOpen(token) ? token : undefined;
    },
  };
}

/** @param header of the request. @returns the cookie's value. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(";") ?? []) {
    const [found, value] = pair.trim().split("=", 2);
    if (found === name) return value;
  }
  return undefined;
}

function tokenOf(key: string): Buffer {
  return createHmac("sha256", key).update(PURPOSE).digest();
}
