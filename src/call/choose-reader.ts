/** Which reader fits a response, by what it says its body is. */
import { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { BodyReader } from "./body-reader.ts";

export interface Readers {
  readonly stream?: () => BodyReader;
  readonly json: () => BodyReader;
}

/** @throws Failure `stream_corrupted` when the body is compressed, though identity was asked for, or of a kind that no reader takes. */
export function chooseByMediaType(headers: ReplyHeaders, readers: Readers): BodyReader {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new Failure("stream_corrupted", `the upstream compressed its answer (${encoding}), though identity was asked for`);
  }
  const type = mediaType(headers);
  if (type === "text/event-stream" && readers.stream !== undefined) return readers.stream();
  // Where no stream is expected, servers are forgiven for not naming their JSON, but not for what cannot be any.
  const mayBeJson = readers.stream === undefined && type !== "text/event-stream" && type !== "text/html";
  if (type === "application/json" || mayBeJson) return readers.json();
  const wanted = readers.stream === undefined ? "JSON" : "an event stream";
  throw new Failure("stream_corrupted", `the upstream answered with content-type "${type}" instead of ${wanted}`);
}

function mediaType(headers: ReplyHeaders): string {
  return (
    String(headers["content-type"] ?? "")
      .split(";", 1)[0]
      ?.trim()
      .toLowerCase() ?? ""
  );
}
