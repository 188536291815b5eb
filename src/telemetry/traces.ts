/** OpenTelemetry traces: spans of exchanges, sent to a collector; the one file that loads its SDK. */
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import { createExchangeSpans, type ExchangeSpans } from "./exchange-spans.ts";

export interface Traces extends ExchangeSpans {
  /** Sends what has not been sent yet. */
  close(): Promise<void>;
}

/**
 * The SDK reads its own variables: `OTEL_EXPORTER_OTLP_ENDPOINT` and `…_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`…
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
  return {
    ...createExchangeSpans(provider.getTracer("perennial")),
    // What could not be sent has been reported already.
    close: () => provider.shutdown().catch(() => {}),
  };
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
