/** How a dialect's events are read strictly: what each means, and whether the whole is whole. */
import type { End } from "./case.ts";
import type { SseEvent } from "./strict-sse.ts";

/** `keep`: the client must get it as it is. `drop`: it is nothing to the client. `end`: the answer ends, with or without it. */
export type Use = "keep" | "drop" | "end" | "end and keep";

export interface Rules {
  /** @param note names what is odd */
  onEvent(event: SseEvent, note: (odd: string) => void): Use;
  /** Something that is no event, by its name. */
  onOdd?(odd: string): void;
  /** An event of such a name is a part of the answer, so that one without data has lost it. */
  isPart(name: string): boolean;
  /** Everything has come that makes an answer whole, so that what follows cannot unmake it. */
  isFinished(): boolean;
  /** Names what is missing. @param ended the answer's own end was seen */
  atEnd(end: { readonly ended: boolean; readonly how: End; readonly torn: boolean }, note: (odd: string) => void): void;
  /** On a line that is no event: undefined leaves the judgement to the list of leniencies. */
  readonly allowsStrayLines: boolean;
}

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object that an event holds; otherwise it is noted why not. */
export function objectIn(data: string, note: (odd: string) => void): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(data);
    if (isObject(value)) return value;
  } catch {
    // Noted below, like whatever is JSON and no object.
  }
  note("data that is not a JSON object");
  return undefined;
}

/** JSON that says nothing. */
export function saysNothing(data: string): boolean {
  return /^(?:null|true|false|""|\[\s*\]|-?\d[\d.]*(?:e[+-]?\d+)?)$/i.test(data.trim());
}

/** Whether names and types agree, as far as a stream ever had both: by its first event. */
export class Names {
  #agree: boolean | undefined;
  #typed = false;

  judge(event: string | undefined, json: JsonObject, note: (odd: string) => void): void {
    const { type } = json;
    if (typeof type !== "string") {
      note(this.#typed && event !== "ping" && Object.keys(json).length > 0 ? "a type that is missing" : "no type");
      return;
    }
    this.#typed = true;
    if (event === undefined || type === "ping" || type === "error" || event === "error") return;
    if (event === "ping") {
      const isPart = ["index", "delta", "content_block", "message", "item", "response", "sequence_number"].some(
        (key) => key in json,
      );
      note(isPart ? "a ping that is a part of the answer" : "a ping");
      return;
    }
    this.#agree ??= event === type;
    if (event !== type) note(this.#agree ? "a name and a type that differ" : "names that are not the types");
  }
}

/** Errors as servers of the OpenAI family word them. */
export function isError(json: JsonObject): boolean {
  return Boolean(json.error) || json.object === "error" || Boolean(Number(json.error_code ?? 0));
}

/** Whether there is anything in a value. */
export function says(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.keys(value).length > 0;
}
