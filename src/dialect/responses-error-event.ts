/** The error event of a responses stream: one that Codex reads, and that the SDKs raise. */
import type { Failure } from "../core/failure.ts";
import type { Transcript } from "../core/transcript.ts";
import { encodeNamed } from "../sse/encode.ts";
import { isObject, parseObject } from "./json.ts";
import { openAiErrorBody } from "./openai-error.ts";

/**
 * Codex passes over the API's own `error` event, and reads `response.error` of a `response.failed`; the SDKs raise whatever has an
 * `error` at its top.
 */
export function encodeResponsesError(failure: Failure, message: string, given: Transcript): string {
  const { error } = openAiErrorBody(failure, message);
  const last = parseObject(given.lastEvent?.data ?? "") ?? {};
  return encodeNamed(
    "response.failed",
    JSON.stringify({
      type: "response.failed",
      sequence_number: nextNumber(last.sequence_number),
      response: { ...idOf(last.response), object: "response", status: "failed", error: { code: failure.code, message } },
      error,
    }),
  );
}

/** The client may check that none is left out. */
function nextNumber(last: unknown): number {
  return typeof last === "number" && Number.isSafeInteger(last) ? last + 1 : 0;
}

/** Only the first events name the response; a made-up name would lead a client that asks for it to another. */
function idOf(response: unknown): { readonly id?: string } {
  return isObject(response) && typeof response.id === "string" ? { id: response.id } : {};
}
