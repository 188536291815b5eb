/** The sandbox upstream: a small server that streams a real-looking answer and breaks it on request, or stands in for another. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { toClientHost } from "../core/client-host.ts";
import { isObject } from "../dialect/json.ts";
import type { Heard } from "./ask-model.ts";
import { beginningIn } from "./beginning.ts";
import { chooseFault } from "./choose-fault.ts";
import { createPersonality } from "./create-personality.ts";
import type { ErrorDetails } from "./dialect-script.ts";
import type { Ask } from "./fault.ts";
import { parseSpec, SpecError, type SpecStep } from "./fault-spec.ts";
import { ok } from "./faults/transport/ok.ts";
import type { Framing } from "./framing.ts";
import type { Endpoint, JsonObject, Personality } from "./personality.ts";
import type { PersonalityName } from "./personality-name.ts";
import { playScript } from "./play-script.ts";
import { jsonReply, type Step, wait } from "./script.ts";
import { type ChaosUpstream, createChaosUpstreams, type Rates } from "./upstreams.ts";

export interface ChaosServerOptions {
  /** The server to stand in for. @defaultValue none: an OpenAI-compatible sandbox */
  readonly as?: PersonalityName | undefined;
  /** How long ChatGLM3's first answer keeps everybody waiting. @defaultValue 1500 */
  readonly firstRequestMs?: number | undefined;
  /** Base URL of the model server behind `chatchat-0.2`. @defaultValue none: it has its words of its own */
  readonly modelUrl?: string | undefined;
  /** Time between two events. @defaultValue 20 */
  readonly tokenDelayMs?: number;
  /** How long a stalled reply stays open when the client does not leave. @defaultValue 600_000 */
  readonly stallMs?: number;
  /** Time between the comments of `stall-comments`. @defaultValue 50 */
  readonly commentMs?: number;
  /** How bodies end. @defaultValue chunked for streams, content-length for the rest */
  readonly framing?: Framing;
  /** Share of the requests that name no fault to break at random, 0 to 1; or by upstream, as `{ a: 0.5 }`. @defaultValue 0 */
  readonly rate?: number | Rates;
  /** What requests get that name no fault, as {@link ChaosServer.play} takes it. @defaultValue nothing */
  readonly fault?: string | undefined;
  /** The same seed breaks the same requests. @defaultValue 1 */
  readonly seed?: number;
  /** The letter of the upstream that answers at `/v1`, for gateways whose upstreams differ in their ports alone. @defaultValue none */
  readonly upstream?: string;
  /** How many requests are remembered. @defaultValue 1000 */
  readonly keepRequests?: number;
}

/** A request as it arrived, for tests. */
export interface ChaosRequest {
  readonly method: string;
  /** The letter of the upstream that was asked, as in `/a/v1`; undefined for the one without. */
  readonly upstream: string | undefined;
  /** With the query, without that letter. */
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
  /**
   * @returns the port, and the base URL for clients (`http://127.0.0.1:8788/v1`, or without `/v1` where a personality has none);
   * `urlOf("a")` is that of one of several upstreams (`http://127.0.0.1:8788/a/v1`), of which there are 26
   */
  listen(port?: number, host?: string): Promise<{ port: number; url: string; urlOf(upstream: string): string }>;
  /**
   * From now on requests that name no fault get this one: `503`, or `close@a` at one upstream alone; `undefined` ends it.
   * @throws SpecError
   */
  play(spec: string | undefined): void;
  /** Destroys every connection and timer. */
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024 ** 2;
const MAX_CHOICES = 128;

export function createChaosServer(options: ChaosServerOptions = {}): ChaosServer {
  const { tokenDelayMs = 20, stallMs = 600_000, commentMs = 50, framing, rate = 0, seed = 1, keepRequests = 1000 } = options;
  const { keepAliveMs, basePath } = createPersonality(options.as);
  const upstreams = createChaosUpstreams({ ...options, as: options.as, rate, seed });
  const requests: ChaosRequest[] = [];
  let played: string | undefined;
  /** Each connection with the end of its life. */
  const sockets = new Map<Socket, AbortController>();
  let closing = false;

  const server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
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

    const bytes = await readBody(request);
    const { upstream, url } = upstreams.at(request.url ?? "/");
    const { personality } = upstream;
    record = recordRequest(request, upstream, url, bytes);
    const heard = await personality.hear?.(endpointOf(record, personality), isObject(record.body) ? record.body : {});
    const { script, headers } = chooseReply(record, upstream, bytes, heard);
    // A pipelined request waits for the reply before it.
    if (response.socket === null) await once(response, "socket", { signal });
    await playScript(script, {
      response,
      socket,
      framing,
      tokenDelayMs,
      stallMs,
      headers: {
        "x-request-id": `req_${randomId()}`,
        // Whoever says this itself gets no `keep-alive: timeout=…` from Node.
        ...(personality.hidesKeepAlive && response.shouldKeepAlive ? { connection: "keep-alive" } : {}),
        ...personality.headers,
        ...headers,
      },
      signal,
      onBreak: () => {
        brokenByUs = true;
      },
    });
  }

  function recordRequest(
    request: IncomingMessage,
    { name }: ChaosUpstream,
    path: string,
    bytes: Buffer | undefined,
  ): ChaosRequest {
    const text = bytes?.toString();
    const record: ChaosRequest = {
      method: request.method ?? "GET",
      upstream: name,
      path,
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

  /** Gateways probe as they like. Node leaves the body of a reply to HEAD out by itself; a stand-in is as strict as its server. */
  function endpointOf({ method, path }: ChaosRequest, personality: Personality): Endpoint | undefined {
    const plain = path.split("?", 1)[0] ?? "/";
    if (options.as !== undefined) return personality.endpoints[`${method} ${plain}`];
    return personality.endpoints[`${method.replace("HEAD", "GET")} ${plain.replace(/(?<=.)\/$/, "")}`];
  }

  function chooseReply(
    record: ChaosRequest,
    upstream: ChaosUpstream,
    bytes: Buffer | undefined,
    heard: Heard | undefined,
  ): Reply {
    const { method, body } = record;
    const { personality } = upstream;
    const path = record.path.split("?", 1)[0] ?? "/";
    const refuse = (status: number, message: string, details: ErrorDetails = {}): Reply => {
      return { script: () => jsonReply(status, personality.errorBody(status, message, details)), headers: {} };
    };
    if (bytes === undefined) return refuse(413, "The request is larger than the sandbox takes.");
    const endpoint = endpointOf(record, personality);
    if (!endpoint) return refuse(404, `Invalid URL (${method} ${path})`);
    if (method === "POST" && !isObject(body) && !endpoint.takesAnyBody) {
      const message = "We could not parse the JSON body of your request. Send a JSON object.";
      return refuse(personality.unreadableStatus, message);
    }
    const fields = isObject(body) ? body : {};
    const ask = createAsk(endpoint, fields);
    const streamed = endpoint.dialect !== undefined && (fields.stream === true || endpoint.alwaysStreams === true);
    let chosen: SpecStep | undefined;
    try {
      const model = heard === undefined ? ask.model : "";
      const own = { header: record.headers["x-chaos"], model, path, fields };
      chosen = chooseFault(own, upstream, played) ?? drawnFault(method, endpoint, upstream);
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      return refuse(400, error.message, { param: "model", code: "unknown_fault" });
    }
    const waitMs = personality.delayMs?.(endpoint) ?? 0;
    const quirk = chosen === undefined ? endpoint.quirk?.({ ask, fields, streamed, bodyBytes: bytes.length, heard }) : undefined;
    if (quirk !== undefined) return { script: () => after(waitMs, quirk()), headers: {} };
    const { fault, arg } = suited(chosen, endpoint);
    record.fault = fault.arg ? `${fault.name}:${arg}` : fault.name;
    return {
      script: () => after(waitMs, streamed ? fault.stream(ask, arg) : fault.answer(ask, arg)),
      headers: { "x-chaos-fault": record.fault },
    };
  }

  function drawnFault(method: string, { dialect, quirk }: Endpoint, { drawFault }: ChaosUpstream): SpecStep | undefined {
    // A page of a personality's is no answer that could be broken.
    return method === "POST" && (dialect !== undefined || quirk === undefined) ? drawFault() : undefined;
  }

  function createAsk(endpoint: Endpoint, fields: JsonObject): Ask {
    const { n, model_name, model = model_name, stream_options: streamOptions, tools, messages, prompt, input } = fields;
    const ask: Ask = {
      id: `chatcmpl-${randomId()}`,
      created: Math.floor(Date.now() / 1000),
      model: typeof model === "string" && model !== "" ? model : "perennial-sandbox",
      choices: Math.min((Number.isInteger(n) ? Math.max(n as number, 1) : 1) * countPrompts(prompt), MAX_CHOICES),
      includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
      toolName: firstToolName(tools) ?? "get_weather",
      promptTokens: Math.ceil(JSON.stringify(messages ?? prompt ?? input ?? "").length / 4),
      beginning: beginningIn(fields),
      dialect: endpoint.dialect,
      answer: () => endpoint.answer(ask, fields),
      timing: { commentMs, stallMs },
    };
    return ask;
  }

  function play(spec: string | undefined): void {
    if (spec !== undefined) parseSpec(spec);
    played = spec;
  }
  play(options.fault);

  return {
    requests,
    play,
    listen(port = 0, host = "127.0.0.1") {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.removeListener("error", reject);
          const address = server.address() as AddressInfo;
          const root = `http://${toClientHost(host)}:${address.port}`;
          resolve({ port: address.port, url: root + basePath, urlOf: (upstream) => `${root}/${upstream}${basePath}` });
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

/** The fault where it makes sense, else the plain answer. */
function suited(step: SpecStep | undefined, { dialect }: Endpoint): SpecStep {
  const misfits = dialect !== undefined && step?.fault.dialects?.includes(dialect.name) === false;
  return step === undefined || misfits ? { fault: ok, arg: 0 } : step;
}

function* after(ms: number, script: Iterable<Step>): Iterable<Step> {
  if (ms > 0) yield wait(ms);
  yield* script;
}

/** Each of several prompts gets choices of its own. */
function countPrompts(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== "number" ? Math.max(prompt.length, 1) : 1;
}

/** @returns undefined when the body is too large */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= MAX_BODY_BYTES) parts.push(part);
    else parts.length = 0;
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(parts) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function firstToolName(tools: unknown): string | undefined {
  const first: unknown = Array.isArray(tools) ? tools[0] : undefined;
  // In chat completions a tool's name is in its `function`, elsewhere in the tool itself.
  const declared = isObject(first) && isObject(first.function) ? first.function : first;
  const name = isObject(declared) ? declared.name : undefined;
  return typeof name === "string" ? name : undefined;
}

function randomId(): string {
  return randomBytes(12).toString("hex");
}
