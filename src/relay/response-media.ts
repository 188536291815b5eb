/** What kind of body a response says it has. */
import { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../downstream/client-response.ts";

/** @throws Failure `stream_corrupted` when the body is compressed, though identity was asked for. */
export function rejectEncoded(headers: ReplyHeaders): void {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new Failure("stream_corrupted", `the upstream compressed its answer (${encoding}), though identity was asked for`);
  }
}

export function mediaType(headers: ReplyHeaders): string {
  return (
    String(headers["content-type"] ?? "")
      .split(";", 1)[0]
      ?.trim()
      .toLowerCase() ?? ""
  );
}
