/** Refusals: requests that Perennial answers by itself, without asking the upstream. */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { Dialect } from "../core/dialect.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";

/** Answers with the failure in its dialect's error shape, or in OpenAI's, and reports the refusal. */
export function reject(
  request: FastifyRequest,
  reply: FastifyReply,
  thrown: unknown,
  observer: Observer,
  dialect?: Dialect,
): void {
  const failure = fromFastify(thrown);
  if (failure.status === 503) reply.header("retry-after", "1");
  if (failure.code === "draining") reply.header("connection", "close");
  // To ask for it again is in vain, and to begin anew is not what an SDK may do by itself.
  if (failure.code === "stream_gone") reply.header("x-should-retry", "false");
  reply
    .header("x-perennial-attempts", "0")
    .code(failure.status)
    .send((dialect?.errorBody ?? openAiErrorBody)(failure, failure.message));
  observer.onRejected?.({
    id: request.id,
    method: request.method,
    path: request.url.split("?", 1)[0] ?? "",
    failure: failure.code,
    status: failure.status,
    durationMs: Math.round(performance.now() - request.arrivedAt),
    defect: failure.code === "internal_error" ? failure.cause : undefined,
  });
}

/** A page that is open in a browser here has no right to what its user may do. */
export function foreignPage(): Failure {
  return new Failure(
    "unauthorized",
    "This request is refused, since its Origin or Host is not this machine. To allow it, name its origin in cors.origins, add a key to auth.keys, or set open: true.",
    { status: 403 },
  );
}

function fromFastify(thrown: unknown): Failure {
  const { statusCode } = thrown as FastifyError;
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new Failure("invalid_request", (thrown as Error).message, { status: statusCode });
  }
  return toFailure(thrown);
}
