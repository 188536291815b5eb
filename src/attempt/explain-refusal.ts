/** One sentence for the log on a refusal that whoever runs Perennial, or its client, can mend: whose key it was, and what to do. */
import type { Failure } from "../core/failure.ts";

export interface Refused {
  readonly upstream: string;
  /** The key that it got is Perennial's (`apiKey`), and not its client's. */
  readonly hasOwnKey: boolean;
  /** The request itself brought a key. */
  readonly clientHasKey: boolean;
  /** Undefined for a request that is passed through. */
  readonly dialect: string | undefined;
}

/** @returns undefined where there is nothing to be mended. It holds no word of the request's, nor of the upstream's. */
export function explainRefusal({ code, status, scope }: Failure, refused: Refused): string | undefined {
  const { upstream, hasOwnKey, clientHasKey, dialect } = refused;
  const whose = hasOwnKey ? `the apiKey of upstream ${upstream}` : `the client's own key for upstream ${upstream}`;
  if (code === "upstream_status" || code === "upstream_error_event") {
    if (status === 402 || (status === 429 && scope === "elsewhere")) {
      return `the account of ${whose} is empty, or its quota used up (${status}): top it up at the provider`;
    }
    if (status === 401 && !hasOwnKey && !clientHasKey) {
      return `upstream ${upstream} wants a key, and the client sent none (401): have the client send one, or set apiKey`;
    }
    if (status === 401) {
      return `${whose} is refused (401): ${hasOwnKey ? "correct it, or keyHeader" : "correct it in the client, or set apiKey"}`;
    }
  }
  const isSilent = code === "empty_stream" || (code === "upstream_status" && status === 500);
  if (isSilent && dialect?.startsWith("chatchat")) {
    return `Chatchat at upstream ${upstream} gave no answer: so it does where it does not know the model, or the prompt_name, of a request`;
  }
  return undefined;
}
