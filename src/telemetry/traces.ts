/** OpenTelemetry traces: each exchange is a span, its attempts are child spans, and upstreams continue the trace. */
import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { FailureCode } from "../core/failure.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";
import { readTraceParent, writeTraceParent } from "./trace-parent.ts";

export interface Traces {
  readonly observer: Observer;
  readonly propagator: Propagator;
  /** Sends what has not been sent yet. */
  close(): Promise<void>;
}

/** The client names the model, so it could be anything, of any length. */
const MAX_MODEL_LENGTH = 200;

const IS_ERROR: ReadonlySet<Outcome> = new Set(["failed", "interrupted"]);

/**
 * The SDK reads its own variables: `OTEL_EXPORTER_OTLP_ENDPOINT` and `…_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`…
 * Attributes follow the semantic conventions for generative AI and HTTP, and hold nothing of what was asked or answered.
 * @param onExportFailure called when spans could not be sent, once until some can be sent again
 */
export function createTraces(onExportFailure: () => void): Traces {
  const exporter = reportFailures(new OTLPTraceExporter(), onExportFailure);
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": "perennial" }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("perennial");
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
        ...describeEnd(id, outcome, attempts.length, status, failure),
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
      const attributes = { "http.request.method": method, ...describeEnd(id, outcome, 0, status, failure) };
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

  return {
    observer,
    propagator,
    // What could not be sent has been reported already.
    close: () => provider.shutdown().catch(() => {}),
  };
}

function describeEnd(
  id: string,
  outcome: Outcome,
  attempts: number,
  status: number | undefined,
  failure: FailureCode | undefined,
): Attributes {
  return {
    "perennial.id": id,
    "perennial.outcome": outcome,
    "perennial.attempts": attempts,
    ...(status === undefined ? {} : { "http.response.status_code": status }),
    ...(failure === undefined ? {} : { "error.type": failure }),
  };
}

function nameOf({ ask, request }: Exchange): string {
  return ask === undefined ? request.method : [ask.dialect.operation, modelOf(ask)].filter(Boolean).join(" ");
}

function describeRequest({ ask, request }: Exchange): Attributes {
  const model = ask && modelOf(ask);
  return {
    "http.request.method": request.method,
    ...(ask === undefined ? {} : { "gen_ai.operation.name": ask.dialect.operation, "gen_ai.provider.name": providerOf(ask) }),
    ...(model === undefined ? {} : { "gen_ai.request.model": model }),
  };
}

function modelOf({ asked }: NonNullable<Exchange["ask"]>): string | undefined {
  return asked.model?.slice(0, MAX_MODEL_LENGTH);
}

/** Whose API is spoken, which dialects' names begin with; the models behind it may be anybody's. */
function providerOf({ dialect }: NonNullable<Exchange["ask"]>): string {
  return dialect.name.split("-", 1)[0] ?? dialect.name;
}

function reportFailures(exporter: SpanExporter, onFailure: () => void): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== 0;
        if (failed && !failing) onFailure();
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
