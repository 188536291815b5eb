/** The sandbox upstream: a small OpenAI-compatible server that streams a real-looking answer and breaks it on request. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { completion } from "./chat-chunks.ts";
import { conversationKey, createConversations } from "./conversations.ts";
import { embeddings } from "./embedding.ts";
import type { Ask } from "./fault.ts";
import { parseSpec, SpecError, type SpecStep } from "./fault-spec.ts";
import { ok } from "./faults/transport/ok.ts";
import { playScript } from "./play-script.ts";
import { createRandomFaults } from "./random-faults.ts";
import { FAULTS } from "./registry.ts";
import { errorReply, type Framing, type Step } from "./script.ts";

export interface ChaosServerOptions {
  /** Time between two events. @defaultValue 20 */
  readonly tokenDelayMs?: number;
  /** How long a stalled reply stays open when the client does not leave. @defaultValue 600_000 */
  readonly stallMs?: number;
  /** Time between the comments of `stall-comments`. @defaultValue 50 */
  readonly commentMs?: number;
  /** How bodies end. @defaultValue chunked for streams, content-length for the rest */
  readonly framing?: Framing;
  /** Share of the requests that name no fault to break at random, 0 to 1. @defaultValue 0 */
  readonly rate?: number;
  /** The same seed breaks the same requests. @defaultValue 1 */
  readonly seed?: number;
  /** How many requests are remembered. @defaultValue 1000 */
  readonly keepRequests?: number;
}

/** A request as it arrived, for tests. */
export interface ChaosRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed where it is JSON, else the text; undefined when there was none. */
  readonly body: unknown;
  /** Unix time in milliseconds. */
  readonly at: number;
  /** The fault it got, as `name` or `name:arg`; undefined where none applies. */
  fault: string | undefined;
  /** The client left before the reply had ended. */
  abortedByClient: boolean;
}

export interface ChaosServer {
  /** The latest requests, oldest first. */
  readonly requests: readonly ChaosRequest[];
  /** @returns the port, and the base URL for clients (`http://127.0.0.1:8788/v1`) */
  listen(port?: number, host?: string): Promise<{ port: number; url: string }>;
  /** Destroys every connection and timer. */
  close(): Promise<void>;
}

type JsonObject = Readonly<Record<string, unknown>>;

const MAX_BODY_BYTES = 64 * 1024 ** 2;
const MAX_CHOICES = 128;

export function createChaosServer(options: ChaosServerOptions = {}): ChaosServer {
  const { tokenDelayMs = 20, stallMs = 600_000, commentMs = 50, framing, rate = 0, seed = 1, keepRequests = 1000 } = options;
  const conversations = createConversations();
  const drawFault = createRandomFaults(rate, seed);
  const requests: ChaosRequest[] = [];
  /** Each connection with the end of its life. */
  const sockets = new Map<Socket, AbortController>();
  let closing = false;

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    // Whatever goes wrong in here happened on a connection that is gone or beyond saving.
    serve(request, response).catch(() => request.socket.destroy());
  });
  server.on("connection", (socket: Socket) => {
    const gone = new AbortController();
    sockets.set(socket, gone);
    socket.once("close", () => {
      sockets.delete(socket);
      gone.abort();
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const signal = sockets.get(socket)?.signal ?? AbortSignal.abort();
    let brokenByUs = false;
    let record: ChaosRequest | undefined;
    response.on("error", () => {});
    response.on("close", () => {
      if (record && !response.writableFinished && !brokenByUs && !closing) record.abortedByClient = true;
    });

    const text = await readBody(request);
    record = recordRequest(request, text);
    const { script, headers } = chooseReply(record, text);
    // A pipelined request waits for the reply before it.
    if (response.socket === null) await once(response, "socket", { signal });
    await playScript(script, {
      response,
      socket,
      framing,
      tokenDelayMs,
      stallMs,
      headers: { "x-request-id": `req_${randomId()}`, ...headers },
      signal,
      onBreak: () => {
        brokenByUs = true;
      },
    });
  }

  function recordRequest(request: IncomingMessage, text: string | undefined): ChaosRequest {
    const record: ChaosRequest = {
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: request.headers,
      body: text ? (parseJson(text) ?? text) : undefined,
      at: Date.now(),
      fault: undefined,
      abortedByClient: false,
    };
    requests.push(record);
    if (requests.length > keepRequests) requests.shift();
    return record;
  }

  function chooseReply(record: ChaosRequest, text: string | undefined): Reply {
    const { method, body } = record;
    const path = record.path.split("?", 1)[0] ?? "/";
    if (text === undefined) return plain(() => errorReply(413, "The request is larger than the sandbox takes."));
    const endpoint = ENDPOINTS[`${method} ${path}`];
    if (!endpoint) return plain(() => errorReply(404, `Invalid URL (${method} ${path})`));
    if (method === "POST" && !isObject(body)) {
      return plain(() => errorReply(400, "We could not parse the JSON body of your request. Send a JSON object."));
    }
    const fields = isObject(body) ? body : {};
    const ask = createAsk(endpoint, fields);
    let chosen: SpecStep;
    try {
      chosen = chooseFault(record, path, fields, ask.model);
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      return plain(() => errorReply(400, error.message, { param: "model", code: "unknown_fault" }));
    }
    const { fault, arg } = chosen;
    record.fault = fault.arg ? `${fault.name}:${arg}` : fault.name;
    const streamed = endpoint === chatCompletion && fields.stream === true;
    return {
      script: () => (streamed ? fault.stream(ask, arg) : fault.answer(ask, arg)),
      headers: { "x-chaos-fault": record.fault },
    };
  }

  /** @throws SpecError */
  function chooseFault({ method, headers }: ChaosRequest, path: string, fields: JsonObject, model: string): SpecStep {
    const header = headers["x-chaos"];
    const spec = (typeof header === "string" && header) || (model.startsWith("chaos/") ? model.slice("chaos/".length) : "");
    if (!spec) return (method === "POST" ? drawFault() : undefined) ?? { fault: ok, arg: 0 };
    const steps = parseSpec(spec);
    const attempt = steps.length === 1 ? 0 : conversations.nextAttempt(conversationKey(spec, path, fields), steps.length);
    return steps[attempt] ?? { fault: ok, arg: 0 };
  }

  function createAsk(endpoint: Endpoint, fields: JsonObject): Ask {
    const { n, model, stream_options: streamOptions, tools, messages } = fields;
    const ask: Ask = {
      id: `chatcmpl-${randomId()}`,
      created: Math.floor(Date.now() / 1000),
      model: typeof model === "string" && model !== "" ? model : "perennial-sandbox",
      choices: Number.isInteger(n) ? Math.min(Math.max(n as number, 1), MAX_CHOICES) : 1,
      includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
      toolName: firstToolName(tools) ?? "get_weather",
      promptTokens: Math.ceil(JSON.stringify(messages ?? "").length / 4),
      answer: () => endpoint(ask, fields),
      timing: { commentMs, stallMs },
    };
    return ask;
  }

  return {
    requests,
    listen(port = 0, host = "127.0.0.1") {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.removeListener("error", reject);
          const address = server.address() as AddressInfo;
          resolve({ port: address.port, url: `http://${reachable(host)}:${address.port}/v1` });
        });
      });
    },
    close() {
      closing = true;
      return new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets.keys()) socket.destroy();
      });
    },
  };
}

interface Reply {
  readonly script: () => Iterable<Step>;
  readonly headers: Readonly<Record<string, string>>;
}

function plain(script: () => Iterable<Step>): Reply {
  return { script, headers: {} };
}

/** Makes the faultless JSON answer. */
type Endpoint = (ask: Ask, fields: JsonObject) => unknown;

const chatCompletion: Endpoint = (ask) => completion(ask);

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "POST /v1/chat/completions": chatCompletion,
  "POST /v1/embeddings": (ask, fields) => embeddings(fields, ask.model),
  "GET /v1/models": (ask) => ({
    object: "list",
    data: ["perennial-sandbox", ...FAULTS.map((fault) => `chaos/${fault.name}`)].map((id) => ({
      id,
      object: "model",
      created: ask.created,
      owned_by: "perennial",
    })),
  }),
};

/** @returns undefined when the body is too large */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= MAX_BODY_BYTES) parts.push(part);
    else parts.length = 0;
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(parts).toString() : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstToolName(tools: unknown): string | undefined {
  const first: unknown = Array.isArray(tools) ? tools[0] : undefined;
  const declared = isObject(first) ? first.function : undefined;
  const name = isObject(declared) ? declared.name : undefined;
  return typeof name === "string" ? name : undefined;
}

function randomId(): string {
  return randomBytes(12).toString("hex");
}

/** An address that a client can use, where the server listens on all of them. */
function reachable(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
