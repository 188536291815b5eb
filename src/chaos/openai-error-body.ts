/** The body of an HTTP error in OpenAI's shape. */
import type { ErrorDetails } from "./dialect-script.ts";

export function openAiErrorBody(status: number, message: string, details: ErrorDetails = {}): unknown {
  const { type = status < 500 ? "invalid_request_error" : "server_error", param = null, code = null } = details;
  return { error: { message, type, param, code } };
}
