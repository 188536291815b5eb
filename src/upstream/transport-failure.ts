/** What an error of undici means for an exchange; the only place that knows its codes. */
import { errors } from "undici";
import { Failure, type Outage } from "../core/failure.ts";
import { isOutOfDescriptors } from "./descriptors.ts";
import { ProxyError } from "./proxy.ts";

/** How far a call had come: without a connection, without a byte of an answer, within its head, or behind that. */
export type TransportStage = "connecting" | "asking" | "answering-head" | "answering";

/** Errors of the request itself, or of a pool that was closed: they say nothing of the upstream. */
const NOT_OF_THE_UPSTREAM: ReadonlySet<string> = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_DESTROYED", "UND_ERR_CLOSED"]);

/** @see https://undici.nodejs.org/#/docs/api/Errors */
export function toTransportFailure(error: Error, stage: TransportStage): Failure {
  const code = codeOf(error);
  if (isOutOfDescriptors(code)) {
    const limit = "Raise `ulimit -n`, or lower limits.maxClientConnections and limits.maxStreams.";
    return new Failure("overloaded", `Perennial can open no more connections (${code}). ${limit}`, { cause: error });
  }
  if (stage !== "answering") {
    const details = { cause: error, outage: outageOf(error, code, stage) };
    // What the proxy wants to be told first it will want next time.
    if (error instanceof ProxyError && error.isFinal)
      return new Failure("upstream_unreachable", error.message, { ...details, scope: "never" });
    return new Failure("upstream_unreachable", unreachable(error, code), details);
  }
  // A chunk size that is no number is garbage; the end of the file where a chunk was due is a cut.
  if (error instanceof errors.HTTPParserError && !/EOF/i.test(error.message)) {
    return new Failure("stream_corrupted", "the upstream's response breaks the rules of HTTP", { cause: error });
  }
  const message =
    code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"
      ? "the upstream's answer is not as long as its content-length says"
      : "the upstream closed the connection in the middle of its answer";
  return new Failure("stream_truncated", message, { cause: error });
}

/** Before a byte of its answer has come the upstream has done nothing, unless it took its time; that is for the caller to say. */
function outageOf(error: Error, code: string, stage: TransportStage): Outage | undefined {
  if (NOT_OF_THE_UPSTREAM.has(code) || error instanceof errors.HTTPParserError) return undefined;
  if (stage === "connecting") return "connection";
  return stage === "asking" ? "answer" : undefined;
}

function unreachable(error: Error, code: string): string {
  if (error instanceof errors.HTTPParserError) return "what the upstream answered is not HTTP";
  if (error instanceof ProxyError) return error.message;
  switch (code) {
    case "UND_ERR_HEADERS_OVERFLOW":
      return "the headers of the upstream's answer are larger than Perennial takes (16 KiB)";
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
      return "the upstream's answer is not as long as its content-length says, or says its length in two ways";
    case "ERR_ASSERTION":
      // undici asserts nothing else about what a server sends.
      if (/statusCode/.test(error.message)) return "the upstream answered with a status that HTTP does not know";
      return "the upstream's answer could not be read (ERR_ASSERTION)";
    case "UND_ERR_CONNECT_TIMEOUT":
      return "the upstream did not accept a connection in time";
    case "ECONNREFUSED":
      return "the upstream refused the connection";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the upstream's host name could not be resolved";
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      return "the upstream closed the connection before it answered";
    default:
      // OpenSSL has many names for it.
      if (/CERT|UNABLE_TO_(GET|VERIFY)/.test(code)) return `the upstream's certificate is not trusted (${code})`;
      return code === "" ? "the upstream could not be reached" : `the upstream could not be reached (${code})`;
  }
}

function codeOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === "string") return code;
  // Happy eyeballs reports one error for each address it tried.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0]);
  return "";
}
