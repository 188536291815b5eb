/** What each client is told: measured, and written down so that a new version of a client cannot change it unseen. */

/** The whole answer, and no error. */
export const WHOLE = "the whole answer";
/** No error, although the answer is not whole: the client cannot notice, and neither can its user. */
export const SILENT = "complete, though it is not";

/** For a body that ends cleanly behind the error event, and for one that is cut there. */
type CleanAndCut = readonly [clean: string, cut: string];

export interface Expected {
  /** Which of the two it gets by default. */
  readonly auto: "clean" | "cut";
  /** A stream that broke in mid-text: `interruptEnd: clean`, then `cut`. */
  readonly interrupted: CleanAndCut;
  /**
   * The same, where the program does something with each piece of text; left out for the clients that never parse. `or`: what Node
   * had read when the connection broke is a matter of milliseconds.
   */
  readonly slowly?: CleanAndCut;
  /** A stream that failed before any text, when a heartbeat had already sent the 200. */
  readonly noText: CleanAndCut;
  /** An HTTP error. */
  readonly http: (code: string, status: number) => string;
  /** Without Perennial. */
  readonly direct: {
    /** Cut in mid-text. */
    readonly truncate: string;
    /** A clean end in mid-text, without a finish. */
    readonly eof: string;
    /** A 200 and no text. */
    readonly empty: string;
  };
  /** How often a client with its own retries at their default asks; left out where it has none. */
  readonly calls?: Calls;
}

/** `several`: with waits too long for a test, which only sees that it asks again. */
export interface Calls {
  /** For ever 429, directly. */
  readonly directly: number | "several";
  /** For ever 429: Perennial's reply says `x-should-retry: false`. */
  readonly limited: number | "several";
  /** For ever 500, likewise. A 503 costs nothing, so that clients keep their own patience with it. */
  readonly unavailable: number | "several";
  /** An error event as the first event. */
  readonly noText: number;
}

const HONOURS: Calls = { directly: 3, limited: 1, unavailable: 1, noText: 1 };

const openAiJs: Expected = {
  auto: "clean",
  interrupted: ["APIError stream_truncated", "APIError stream_truncated"],
  // Node's fetch drops what it had received when the connection breaks.
  slowly: ["APIError stream_truncated", "TypeError or APIError stream_truncated"],
  noText: ["APIError first_token_timeout", "APIError first_token_timeout"],
  http: (code, status) => `${status === 429 ? "RateLimitError" : "InternalServerError"} ${code}`,
  direct: { truncate: "TypeError", eof: SILENT, empty: SILENT },
  calls: HONOURS,
};

const openAiPython: Expected = {
  auto: "clean",
  interrupted: ["openai.APIError stream_truncated", "openai.APIError stream_truncated"],
  slowly: ["openai.APIError stream_truncated", "openai.APIError stream_truncated"],
  noText: ["openai.APIError first_token_timeout", "openai.APIError first_token_timeout"],
  http: (code, status) => `openai.${openAiJs.http(code, status)}`,
  direct: { truncate: "openai.APIConnectionError", eof: SILENT, empty: SILENT },
  calls: HONOURS,
};

const LANGCHAIN = "langchain_openai.chat_models.base";

const aiHttp = (code: string): string => `AI_APICallError ${code}`;

const requestsHttp = (_code: string, status: number): string => `requests.exceptions.HTTPError ${status}`;
const REQUESTS_CUT = "requests.exceptions.ChunkedEncodingError";

const httpxHttp = (_code: string, status: number): string => `httpx.HTTPStatusError ${status}`;
const HTTPX_CUT = "httpx.RemoteProtocolError";

const AGAIN = ", after 2 retries";

export const EXPECTED: Readonly<Record<string, Expected>> = {
  "openai (JS)": openAiJs,
  "@langchain/openai": {
    ...openAiJs,
    slowly: ["APIError stream_truncated", "APIError stream_truncated or TypeError"],
    calls: { directly: "several", limited: "several", unavailable: "several", noText: 1 },
  },
  "ai, @ai-sdk/openai": {
    auto: "cut",
    interrupted: ["AI_StreamProviderError stream_truncated", "AI_StreamProviderError stream_truncated"],
    // It reads ahead of its program, in the time between the event and the cut: mostly far enough.
    slowly: ["AI_StreamProviderError stream_truncated", "AI_StreamProviderError stream_truncated or AI_APICallError"],
    noText: ["AI_APICallError first_token_timeout", "AI_APICallError first_token_timeout"],
    http: aiHttp,
    direct: { truncate: "AI_APICallError", eof: SILENT, empty: SILENT },
    calls: { directly: 3, limited: 3, unavailable: 3, noText: 3 },
  },
  "ai, @ai-sdk/openai-compatible": {
    auto: "cut",
    interrupted: ["AI_StreamProviderError stream_truncated", "AI_StreamProviderError stream_truncated"],
    // It reads ahead of its program, in the time between the event and the cut: mostly far enough.
    slowly: ["AI_StreamProviderError stream_truncated", "AI_StreamProviderError stream_truncated or AI_APICallError"],
    noText: ["AI_StreamProviderError first_token_timeout", "AI_StreamProviderError first_token_timeout"],
    http: aiHttp,
    direct: { truncate: "AI_APICallError", eof: "AI_InvalidResponseDataError", empty: "AI_InvalidResponseDataError" },
    calls: { directly: 3, limited: 3, unavailable: 3, noText: 1 },
  },
  "ai, `textStream` only": {
    auto: "cut",
    interrupted: [SILENT, "AI_APICallError"],
    slowly: [SILENT, "AI_APICallError"],
    noText: [SILENT, SILENT],
    http: () => SILENT,
    direct: { truncate: "AI_APICallError", eof: SILENT, empty: SILENT },
    calls: { directly: 3, limited: 3, unavailable: 3, noText: 3 },
  },
  "openai (Python)": openAiPython,
  "langchain-openai": {
    ...openAiPython,
    // Subclasses of the SDK's: `except openai.APIError` catches them.
    http: (code, status) => `${LANGCHAIN}.${status === 429 ? "OpenAIRateLimitError" : "OpenAIAPIError"} ${code}`,
    direct: { truncate: `${LANGCHAIN}.OpenAIConnectionError`, eof: SILENT, empty: "ValueError" },
  },
  "openai (Go)": {
    auto: "clean",
    interrupted: ["*errors.errorString", "*errors.errorString"],
    slowly: ["*errors.errorString", "*errors.errorString"],
    noText: ["*errors.errorString", "*errors.errorString"],
    http: (code) => `*apierror.Error ${code}`,
    direct: { truncate: "*errors.errorString", eof: SILENT, empty: SILENT },
    calls: HONOURS,
  },
  requests: {
    auto: "cut",
    interrupted: [SILENT, REQUESTS_CUT],
    noText: [SILENT, REQUESTS_CUT],
    http: requestsHttp,
    direct: { truncate: REQUESTS_CUT, eof: SILENT, empty: SILENT },
  },
  "requests, copied loop": {
    auto: "cut",
    interrupted: [SILENT, REQUESTS_CUT + AGAIN],
    noText: [SILENT, REQUESTS_CUT + AGAIN],
    http: requestsHttp,
    direct: { truncate: REQUESTS_CUT + AGAIN, eof: SILENT, empty: SILENT },
  },
  httpx: {
    auto: "cut",
    interrupted: [SILENT, HTTPX_CUT],
    noText: [SILENT, HTTPX_CUT],
    http: httpxHttp,
    direct: { truncate: HTTPX_CUT, eof: SILENT, empty: SILENT },
  },
  "httpx, copied loop": {
    auto: "cut",
    interrupted: [SILENT, HTTPX_CUT + AGAIN],
    noText: [SILENT, HTTPX_CUT + AGAIN],
    http: httpxHttp,
    direct: { truncate: HTTPX_CUT + AGAIN, eof: SILENT, empty: SILENT },
  },
  "curl -N --fail-with-body": {
    auto: "cut",
    interrupted: [SILENT, "exit code 18"],
    noText: [SILENT, "exit code 18"],
    http: () => "exit code 22",
    direct: { truncate: "exit code 18", eof: SILENT, empty: SILENT },
  },
};
