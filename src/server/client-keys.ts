/** Who may use this proxy: the keys that clients must present, compared in constant time, and what each of them may do. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { matchesName } from "../balance/offer.ts";
import type { ClientKey } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";

/** The identity that limits are counted against, where no key is needed; otherwise the digest of the key. */
export const NO_KEY_NEEDED = "";

/** A key, and what is known of whose it is. */
export interface NamedKey extends Omit<ClientKey, "id"> {
  readonly key: string;
}

/** Who has sent a request. */
export interface KeyHolder {
  /** What limits are counted against. */
  readonly id: string;
  /** Undefined where the key has no name, or none is needed. */
  readonly client: ClientKey | undefined;
}

/**
 * @param keys accepted keys; none means that no key is needed.
 * @param named those of them that have a name.
 * @returns who holds the key that the headers present; undefined without a valid one.
 */
export function createKeyCheck(
  keys: readonly string[],
  named: readonly NamedKey[] = [],
): (headers: IncomingHttpHeaders) => KeyHolder | undefined {
  // Digests have one length, so that neither the length nor the first difference of a key shows in the time taken.
  const digests = keys.map(digest);
  const holders = keys.map((key, index): KeyHolder => {
    const id = (digests[index] as Buffer).toString("base64");
    const known = named.find((each) => each.key === key);
    if (known === undefined) return { id, client: undefined };
    const { key: _key, ...client } = known;
    return { id, client: { id, ...client } };
  });
  const anybody: KeyHolder = { id: NO_KEY_NEEDED, client: undefined };
  return (headers) => {
    if (digests.length === 0) return anybody;
    const presented = digest(presentedKey(headers));
    let known = -1;
    // Every key is compared, whichever matches.
    digests.forEach((key, index) => {
      if (timingSafeEqual(key, presented)) known = index;
    });
    return holders[known];
  };
}

/** Asked in no dialect, a request does not show which model it is for: a look at what there is is all that it may be. */
const HARMLESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** @throws Failure `unauthorized` (403) for a model that the key is not for. */
export function refuseModel(client: ClientKey | undefined, method: string, model: string | undefined): void {
  if (client?.models === undefined || (model === undefined && HARMLESS.has(method))) return;
  if (model !== undefined && client.models.some((pattern) => matchesName(pattern, model))) return;
  const what = model === undefined ? "requests that do not name their model" : `the model "${model.slice(0, 200)}"`;
  throw new Failure("unauthorized", `The key "${client.name}" is not for ${what} (auth.keys: models).`, { status: 403 });
}

function presentedKey(headers: IncomingHttpHeaders): string {
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? String(headers["x-api-key"] ?? headers["api-key"] ?? "");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
