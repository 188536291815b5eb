/**
 * Routes that turn one JSON document into another and change nothing (embeddings, reranking, token counts): never streamed, safe to
 * ask again, and whole when the answer can be read and holds no error.
 */
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import { isObject } from "./json.ts";
import { findOpenAiError, openAiErrorBody } from "./openai-error.ts";
import { QUESTION } from "./question.ts";

const jsonRoute = {
  name: "json",
  operation: "json",
  question: { fields: { input: QUESTION }, headers: {} },
  pipesLargeAnswers: true,
  parseRequest: (body): DialectRequest => ({
    stream: false,
    model: isObject(body) && typeof body.model === "string" ? body.model : undefined,
    choices: 1,
    includeUsage: false,
  }),
  inspectAnswer,
  errorBody: openAiErrorBody,
  // The rest is for streams, and nothing here is one.
  terminator: "",
  repairsTerminator: false,
  allowsComments: false,
  oneEventPerWrite: false,
  inspectStream(): never {
    throw new Error("a JSON route has no stream");
  },
  answerToEvents: () => undefined,
  eventsToAnswer: () => undefined,
  askStreamed: () => undefined,
  encodeEvent: () => "",
  encodeError: () => "",
} satisfies Dialect;

/**
 * @param operation what it does, for traces: `embeddings`.
 * @param errors the dialect whose clients ask here, and whose errors they read.
 */
export function createJsonRoute(operation: string, errors: Pick<Dialect, "errorBody"> = jsonRoute): Dialect {
  return { ...jsonRoute, operation, errorBody: errors.errorBody };
}

export function isJsonRoute({ name }: Dialect): boolean {
  return name === jsonRoute.name;
}

function inspectAnswer(answer: unknown): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return undefined;
  return findOpenAiError(answer) ?? findRefusal(answer);
}

/** Langchain-Chatchat says `{"code":500,"msg":"…"}` with HTTP status 200. */
function findRefusal({ code, msg }: Record<string, unknown>): Failure | undefined {
  if (typeof code !== "number" || code < 400 || code > 599 || typeof msg !== "string") return undefined;
  // In the words of an error object, so that the code is read as the status that it names.
  return findOpenAiError({ error: { message: msg, code } });
}
