/** Exchanges and their attempts as spans, by the semantic conventions for generative AI and HTTP; nothing of prompts or answers. */
import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { Attempt } from "../core/attempt.ts";
import type { Api, Exchange, ExchangeEnd } from "../core/exchange.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";
import { readTraceParent, writeTraceParent } from "./trace-parent.ts";

export interface ExchangeSpans {
  readonly observer: Observer;
  /** Hands the trace on to the upstream. */
  readonly propagator: Propagator;
}

/** The client names the model, so it could be anything, of any length. */
const MAX_MODEL_LENGTH = 200;

const IS_ERROR: ReadonlySet<Outcome> = new Set(["failed", "interrupted"]);

export function createExchangeSpans(tracer: Tracer): ExchangeSpans {
  const spans = new WeakMap<Exchange | Attempt, Span>();

  function spanOf(exchange: Exchange): Span {
    const begun = spans.get(exchange);
    if (begun !== undefined) return begun;
    const parent = readTraceParent(exchange.request.headers);
    const span = tracer.startSpan(
      nameOf(exchange),
      { kind: SpanKind.SERVER, startTime: exchange.startedAt, attributes: describeRequest(exchange) },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    spans.set(exchange, span);
    return span;
  }

  const observer: Observer = {
    onAttemptStart(exchange, attempt) {
      const { method } = exchange.request;
      const resends = attempt.number - 1;
      const span = tracer.startSpan(
        method,
        {
          kind: SpanKind.CLIENT,
          startTime: attempt.startedAt,
          attributes: {
            "http.request.method": method,
            "perennial.upstream": attempt.upstream,
            ...(resends === 0 ? {} : { "http.request.resend_count": resends }),
          },
        },
        trace.setSpan(ROOT_CONTEXT, spanOf(exchange)),
      );
      spans.set(attempt, span);
    },

    onAttemptEnd(_exchange, attempt) {
      const span = spans.get(attempt);
      if (attempt.status !== undefined) span?.setAttribute("http.response.status_code", attempt.status);
      if (attempt.hedge) span?.setAttribute("perennial.hedge", true);
      if (attempt.lost) span?.setAttribute("perennial.lost", true);
      if (attempt.failure !== undefined) {
        span?.setAttribute("error.type", attempt.failure);
        // A client that leaves is no fault of the upstream's.
        if (attempt.failure !== "client_gone") span?.setStatus({ code: SpanStatusCode.ERROR });
      }
      span?.end(attempt.startedAt + attempt.durationMs);
    },

    onExchangeEnd(exchange, { outcome, failure, status, durationMs }) {
      // Any client could fill the collector with refusals.
      if (outcome === "rejected") return;
      const { attempts, stats, id } = exchange;
      const span = spanOf(exchange);
      span.setAttributes({
        ...describeEnd({ id, outcome, failure, status, attempts: attempts.length }),
        ...(stats.firstTokenMs === undefined ? {} : { "gen_ai.response.time_to_first_chunk": stats.firstTokenMs / 1_000 }),
      });
      if (IS_ERROR.has(outcome)) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(exchange.startedAt + durationMs);
    },

    onRejected({ id, method, failure, status, durationMs }) {
      const outcome = outcomeOfRefusal(failure);
      // Any client could fill the collector with refusals; a defect is worth a span.
      if (outcome === "rejected") return;
      const endedAt = Date.now();
      const attributes = { "http.request.method": method, ...describeEnd({ id, outcome, failure, status, attempts: 0 }) };
      const span = tracer.startSpan(method, { kind: SpanKind.SERVER, startTime: endedAt - durationMs, attributes }, ROOT_CONTEXT);
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endedAt);
    },
  };

  const propagator: Propagator = {
    headersFor(_exchange, attempt) {
      const span = spans.get(attempt);
      return span === undefined ? {} : writeTraceParent(span.spanContext());
    },
  };

  return { observer, propagator };
}

interface End extends Pick<ExchangeEnd, "outcome" | "failure" | "status"> {
  readonly id: string;
  readonly attempts: number;
}

function describeEnd({ id, outcome, failure, status, attempts }: End): Attributes {
  return {
    "perennial.id": id,
    "perennial.outcome": outcome,
    "perennial.attempts": attempts,
    ...(status === undefined ? {} : { "http.response.status_code": status }),
    ...(failure === undefined ? {} : { "error.type": failure }),
  };
}

function nameOf({ api, request }: Exchange): string {
  return api === undefined ? request.method : [api.dialect.operation, modelOf(api)].filter(Boolean).join(" ");
}

function describeRequest({ api, request }: Exchange): Attributes {
  const model = api && modelOf(api);
  return {
    "http.request.method": request.method,
    ...(api === undefined ? {} : { "gen_ai.operation.name": api.dialect.operation, "gen_ai.provider.name": providerOf(api) }),
    ...(model === undefined ? {} : { "gen_ai.request.model": model }),
  };
}

function modelOf({ request }: Api): string | undefined {
  return request.model?.slice(0, MAX_MODEL_LENGTH);
}

/** Whose API is spoken, which dialects' names begin with; the models behind it may be of any make. */
function providerOf({ dialect }: Api): string {
  // What is asked for in JSON alone is OpenAI's, or imitates it.
  if (dialect.name === "json") return "openai";
  return dialect.name.split("-", 1)[0] ?? dialect.name;
}
