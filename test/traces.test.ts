/** Traces: what the upstream is told, and what a collector gets. */
import { afterEach, expect, vi } from "vitest";
import { chat, send } from "./support/client.ts";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "./support/otlp-receiver.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { chatEvents, frame, jsonReply, type RawUpstream } from "./support/raw-upstream.ts";
import { BUSY, STREAM_HEAD } from "./support/replies.ts";
import { type Serve, type Served, test } from "./support/test.ts";

let receiver: OtlpReceiver;

// Opened before Perennial, so closed after it: Perennial sends its last spans when it closes.
test.beforeEach(async ({ closing }) => {
  receiver = closing(await startOtlpReceiver());
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const WHOLE = frame("chunked", chatEvents(["Hello"]));
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN = "00f067aa0ba902b7";
const FROM_CLIENT = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`, tracestate: "vendor=1" };

async function serveTraced(serve: Serve, steps: readonly (string | Buffer)[], { traced = true } = {}): Promise<Served> {
  if (traced) vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint);
  return serve(steps);
}

/** The spans, which closing sends: the exchange first, then its attempts. */
async function finish(perennial: TestPerennial): Promise<[ReceivedSpan, ...ReceivedSpan[]]> {
  await perennial.exchangeLog();
  await perennial.close();
  return receiver.spans.toSorted((a, b) => a.kind - b.kind) as [ReceivedSpan, ...ReceivedSpan[]];
}

/** The header as each request to the upstream had it. */
const sent = (upstream: RawUpstream, name: string): (string | undefined)[] =>
  upstream.requests.map(({ head }) => new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1]);

test("with tracing off, the client's trace context goes to the upstream as it is", async ({ serve }) => {
  const { perennial, upstream } = await serveTraced(serve, [BUSY, WHOLE], { traced: false });
  await chat(perennial.baseUrl, {}, { headers: FROM_CLIENT });
  expect(sent(upstream, "traceparent")).toEqual([FROM_CLIENT.traceparent, FROM_CLIENT.traceparent]);
  expect(sent(upstream, "tracestate")).toEqual(["vendor=1", "vendor=1"]);
  expect(receiver.raw()).toBe("");
});

test("continues the client's trace: the exchange under the client's span, attempts under it, the upstream under those", async ({
  serve,
}) => {
  const { perennial, upstream } = await serveTraced(serve, [BUSY, WHOLE]);
  await chat(perennial.baseUrl, { model: "gpt-x" }, { headers: FROM_CLIENT });
  const [exchange, first, second, ...others] = await finish(perennial);
  expect(others).toEqual([]);
  expect(exchange).toMatchObject({
    traceId: TRACE,
    parentSpanId: CLIENT_SPAN,
    traceState: "vendor=1",
    name: "chat gpt-x",
    kind: 2,
    isError: false,
    service: "perennial",
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-x",
      "http.response.status_code": 200,
      "perennial.outcome": "recovered",
      "perennial.attempts": 2,
      "gen_ai.response.time_to_first_chunk": expect.any(Number),
    },
  });
  expect(exchange.attributes).not.toHaveProperty("error.type");
  expect(first).toMatchObject({
    parentSpanId: exchange.spanId,
    name: "POST",
    kind: 3,
    isError: true,
    attributes: { "error.type": "upstream_status", "http.response.status_code": 503, "perennial.upstream": "main" },
  });
  expect(second).toMatchObject({
    traceId: TRACE,
    parentSpanId: exchange.spanId,
    isError: false,
    attributes: { "http.request.resend_count": 1, "http.response.status_code": 200 },
  });
  expect(sent(upstream, "traceparent")).toEqual([`00-${TRACE}-${first?.spanId}-01`, `00-${TRACE}-${second?.spanId}-01`]);
  expect(sent(upstream, "tracestate")).toEqual(["vendor=1", "vendor=1"]);
});

test("an interrupted stream is an error of its failure code", async ({ serve }) => {
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint);
  const { perennial } = await serve((socket) => {
    socket.end(`${STREAM_HEAD}${chatEvents(["Hel"], { finish: null, done: false }).join("")}`);
  });
  await chat(perennial.baseUrl);
  const spans = await finish(perennial);
  for (const span of spans) expect(span).toMatchObject({ isError: true, attributes: { "error.type": "stream_truncated" } });
  expect(spans[0].attributes).toMatchObject({ "perennial.outcome": "interrupted" });
});

test("a client that leaves is no error", async ({ serve }) => {
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint);
  const { perennial } = await serve((socket) => {
    socket.write(`${STREAM_HEAD}${chatEvents(["Hel"], { finish: null, done: false }).join("")}`);
  });
  await chat(perennial.baseUrl, {}, { onRead: (_body, abort) => abort() }).catch(() => {});
  const spans = await finish(perennial);
  expect(spans.map(({ isError }) => isError)).toEqual([false, false]);
  expect(spans[0].attributes).toMatchObject({ "perennial.outcome": "cancelled" });
});

test.for([
  ["none", {}],
  ["one that breaks the rules", { traceparent: `00-${"0".repeat(32)}-${CLIENT_SPAN}-01` }],
  ["one of version 00 with more to it", { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01-more` }],
])("begins a trace where the client has %s", async ([_what, headers], { serve }) => {
  const { perennial, upstream } = await serveTraced(serve, [WHOLE]);
  await chat(perennial.baseUrl, {}, { headers });
  const [exchange, attempt] = await finish(perennial);
  expect(exchange.parentSpanId).toBeUndefined();
  expect(exchange.traceId).not.toBe(TRACE);
  expect(sent(upstream, "traceparent")).toEqual([`00-${exchange.traceId}-${attempt?.spanId}-01`]);
});

test("a trace that the client does not sample is continued, and not sent", async ({ serve }) => {
  const { perennial, upstream } = await serveTraced(serve, [WHOLE]);
  await chat(perennial.baseUrl, {}, { headers: { traceparent: `00-${TRACE}-${CLIENT_SPAN}-00` } });
  await finish(perennial);
  expect(receiver.spans).toEqual([]);
  expect(sent(upstream, "traceparent")).toEqual([expect.stringMatching(`^00-${TRACE}-(?!${CLIENT_SPAN})[0-9a-f]{16}-00$`)]);
});

test("what is passed through is traced by its method alone, and what is refused not at all", async ({ serve }) => {
  const { perennial } = await serveTraced(serve, [jsonReply("{}")]);
  await send(`${perennial.baseUrl}/files/secret-name?key=sk-1`);
  await send(`${perennial.url}/elsewhere`);
  const spans = await finish(perennial);
  expect(spans.map(({ name, attributes }) => [name, attributes["perennial.outcome"]])).toEqual([
    ["GET", "complete"],
    ["GET", undefined],
  ]);
  expect(receiver.raw()).not.toMatch(/secret-name|sk-1/);
});

test("a collector that is not there is warned of once, and keeps nobody waiting", async ({ serve }) => {
  vi.stubEnv("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
  vi.stubEnv("OTEL_BSP_SCHEDULE_DELAY", "10");
  const { perennial } = await serveTraced(serve, [WHOLE]);
  await receiver.close();
  const warnings = () => perennial.log.filter(({ msg }) => /traces cannot be sent/.test(msg));
  for (let n = 1; n <= 3; n++) {
    await chat(perennial.baseUrl);
    await expect.poll(() => warnings().length).toBe(1);
  }
  const began = Date.now();
  await perennial.close();
  // Only a clock tells a wait from none here; the bound is far from both.
  expect(Date.now() - began).toBeLessThan(10_000);
  expect(warnings()).toHaveLength(1);
});
