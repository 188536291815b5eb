/** W3C Trace Context: a span's place in a trace, read from a request's headers and written to one. */
import { createTraceState, isSpanContextValid, type SpanContext } from "@opentelemetry/api";
import type { Headers } from "../core/exchange.ts";

/** Versions after 00 may append fields, and are read as far as 00 goes. */
const TRACEPARENT = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/**
 * The span that the client names as ours to continue; undefined when it names none, or not in a valid way.
 * @see https://www.w3.org/TR/trace-context/
 */
export function readTraceParent({ traceparent, tracestate }: Headers): SpanContext | undefined {
  if (typeof traceparent !== "string") return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === "00" && rest !== undefined) return undefined;
  const context: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (!isSpanContextValid(context)) return undefined;
  return tracestate === undefined ? context : { ...context, traceState: createTraceState(String(tracestate)) };
}

/** The headers that make a request a child of the span. */
export function writeTraceParent({ traceId, spanId, traceFlags, traceState }: SpanContext): Record<string, string> {
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  const state = traceState?.serialize();
  return state === undefined || state === "" ? { traceparent } : { traceparent, tracestate: state };
}
