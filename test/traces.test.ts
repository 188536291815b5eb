/** Traces: what the upstream is told, and what a collector gets. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { chat, send } from "./support/client.ts";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "./support/otlp-receiver.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, frame, jsonReply, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;
let receiver: OtlpReceiver;

beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  await perennial.close();
  await Promise.all([upstream.close(), receiver.close()]);
  for (const name of Object.keys(process.env)) if (name.startsWith("OTEL_")) delete process.env[name];
});

const WHOLE = frame("chunked", chatEvents(["Hello"]));
const BUSY = jsonReply("{}", "503 Busy");
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN = "00f067aa0ba902b7";
const FROM_CLIENT = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`, tracestate: "vendor=1" };

/** Answers the requests in order, the last step again and again. */
async function serve(steps: (string | Buffer)[], { traced = true } = {}): Promise<void> {
  if (traced) process.env.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.endpoint;
  upstream = await startRawUpstream((socket, { number }) => socket.write(steps[Math.min(number, steps.length) - 1] ?? ""));
  perennial = await startPerennial(upstream.baseUrl);
}

/** The spans, which closing sends: the exchange first, then its attempts. */
async function finish(): Promise<[ReceivedSpan, ...ReceivedSpan[]]> {
  await perennial.exchangeLog();
  await perennial.close();
  return receiver.spans.toSorted((a, b) => a.kind - b.kind) as [ReceivedSpan, ...ReceivedSpan[]];
}

/** The header as each request to the upstream had it. */
const sent = (name: string): (string | undefined)[] =>
  upstream.requests.map(({ head }) => new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1]);

test("with tracing off, the client's trace context goes to the upstream as it is", async () => {
  await serve([BUSY, WHOLE], { traced: false });
  await chat(perennial.baseUrl, {}, { headers: FROM_CLIENT });
  expect(sent("traceparent")).toEqual([FROM_CLIENT.traceparent, FROM_CLIENT.traceparent]);
  expect(sent("tracestate")).toEqual(["vendor=1", "vendor=1"]);
  expect(receiver.raw()).toBe("");
});

test("continues the client's trace: the exchange under the client's span, attempts under it, the upstream under those", async () => {
  await serve([BUSY, WHOLE]);
  await chat(perennial.baseUrl, { model: "gpt-x" }, { headers: FROM_CLIENT });
  const [exchange, first, second, ...others] = await finish();
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
  expect(sent("traceparent")).toEqual([`00-${TRACE}-${first?.spanId}-01`, `00-${TRACE}-${second?.spanId}-01`]);
  expect(sent("tracestate")).toEqual(["vendor=1", "vendor=1"]);
});

test("an interrupted stream is an error of its failure code", async () => {
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.endpoint;
  upstream = await startRawUpstream((socket) => {
    socket.end(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hel"], { finish: null, done: false }).join("")}`);
  });
  perennial = await startPerennial(upstream.baseUrl);
  await chat(perennial.baseUrl);
  const spans = await finish();
  for (const span of spans) expect(span).toMatchObject({ isError: true, attributes: { "error.type": "stream_truncated" } });
  expect(spans[0].attributes).toMatchObject({ "perennial.outcome": "interrupted" });
});

test("a client that leaves is no error", async () => {
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.endpoint;
  upstream = await startRawUpstream((socket) => {
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hel"], { finish: null, done: false }).join("")}`);
  });
  perennial = await startPerennial(upstream.baseUrl);
  await chat(perennial.baseUrl, {}, { onRead: (_body, abort) => abort() }).catch(() => {});
  const spans = await finish();
  expect(spans.map(({ isError }) => isError)).toEqual([false, false]);
  expect(spans[0].attributes).toMatchObject({ "perennial.outcome": "cancelled" });
});

test.each([
  ["none", {}],
  ["one that breaks the rules", { traceparent: `00-${"0".repeat(32)}-${CLIENT_SPAN}-01` }],
  ["one of version 00 with more to it", { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01-more` }],
])("begins a trace where the client has %s", async (_what, headers) => {
  await serve([WHOLE]);
  await chat(perennial.baseUrl, {}, { headers });
  const [exchange, attempt] = await finish();
  expect(exchange.parentSpanId).toBeUndefined();
  expect(exchange.traceId).not.toBe(TRACE);
  expect(sent("traceparent")).toEqual([`00-${exchange.traceId}-${attempt?.spanId}-01`]);
});

test("a trace that the client does not sample is continued, and not sent", async () => {
  await serve([WHOLE]);
  await chat(perennial.baseUrl, {}, { headers: { traceparent: `00-${TRACE}-${CLIENT_SPAN}-00` } });
  await finish();
  expect(receiver.spans).toEqual([]);
  expect(sent("traceparent")).toEqual([expect.stringMatching(`^00-${TRACE}-(?!${CLIENT_SPAN})[0-9a-f]{16}-00$`)]);
});

test("what is passed through is traced by its method alone, and what is refused not at all", async () => {
  await serve([jsonReply("{}")]);
  await send(`${perennial.baseUrl}/files/secret-name?key=sk-1`);
  await send(`${perennial.url}/elsewhere`);
  const spans = await finish();
  expect(spans.map(({ name, attributes }) => [name, attributes["perennial.outcome"]])).toEqual([
    ["GET", "complete"],
    ["GET", undefined],
  ]);
  expect(receiver.raw()).not.toMatch(/secret-name|sk-1/);
});

test("a collector that is not there is warned of once, and keeps nobody waiting", async () => {
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = "100";
  process.env.OTEL_BSP_SCHEDULE_DELAY = "10";
  await serve([WHOLE]);
  await receiver.close();
  const warnings = () => perennial.log.filter(({ msg }) => /traces cannot be sent/.test(msg));
  for (let n = 1; n <= 3; n++) {
    await chat(perennial.baseUrl);
    await expect.poll(() => warnings().length).toBe(1);
  }
  const began = Date.now();
  await perennial.close();
  expect(Date.now() - began).toBeLessThan(4_000);
  expect(warnings()).toHaveLength(1);
});
