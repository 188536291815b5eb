/** The error event behind a stream that is passed through unread: in the shape that the SDKs raise, whichever API it belongs to. */
import type { Failure } from "../core/failure.ts";
import { encodeNamed } from "../sse/encode.ts";
import { openAiErrorBody } from "./openai-error.ts";

export function encodePipedError(failure: Failure, message: string): string {
  const { error } = openAiErrorBody(failure, message);
  return encodeNamed("error", JSON.stringify({ type: "error", code: failure.code, message, param: null, error }));
}
