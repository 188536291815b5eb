/** OpenTelemetry traces: each exchange is a span, its attempts are child spans, and upstreams continue the trace. */
import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Attempt } from "../core/attempt.ts";
import type { Api, Exchange } from "../core/exchange.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { Outcome } from "../core/outcome.ts";
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
      // Refused at the door: anybody could fill the collector with those.
      if (outcome === "rejected") return;
      const { attempts, stats, id } = exchange;
      const span = spanOf(exchange);
      span.setAttributes({
        "perennial.id": id,
        "perennial.outcome": outcome,
        "perennial.attempts": attempts.length,
        ...(status === undefined ? {} : { "http.response.status_code": status }),
        ...(failure === undefined ? {} : { "error.type": failure }),
        ...(stats.firstTokenMs === undefined ? {} : { "gen_ai.response.time_to_first_chunk": stats.firstTokenMs / 1_000 }),
      });
      if (IS_ERROR.has(outcome)) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(exchange.startedAt + durationMs);
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

function nameOf({ api, request }: Exchange): string {
  return api === undefined ? request.method : [operationOf(api, request.path), modelOf(api)].filter(Boolean).join(" ");
}

function describeRequest({ api, request }: Exchange): Attributes {
  const model = api && modelOf(api);
  return {
    "http.request.method": request.method,
    ...(api === undefined
      ? {}
      : { "gen_ai.operation.name": operationOf(api, request.path), "gen_ai.provider.name": providerOf(api) }),
    ...(model === undefined ? {} : { "gen_ai.request.model": model }),
  };
}

function modelOf({ request }: Api): string | undefined {
  return request.model?.slice(0, MAX_MODEL_LENGTH);
}

function operationOf({ dialect }: Api, path: string): string {
  if (dialect.operation !== undefined) return dialect.operation;
  return /^\/completions(\?|$)/.test(path) ? "text_completion" : "chat";
}

/** Whose API is spoken, which dialects' names begin with; the models behind it may be anybody's. */
function providerOf({ dialect }: Api): string {
  // What is asked for in JSON alone is OpenAI's, or imitates it.
  if (dialect.name === "json") return "openai";
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
