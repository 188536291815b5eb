/** OpenAI responses: numbered events without a gap, the last of which holds the response. */
import { isError, isObject, type JsonObject, objectIn, type Rules, says, type Use } from "./rules.ts";
import type { SseEvent } from "./strict-sse.ts";

export class ResponsesRules implements Rules {
  readonly allowsStrayLines = true;
  #last: number | undefined;
  #incomplete = false;
  #hasContent = false;

  onEvent({ event, data }: SseEvent, note: (odd: string) => void): Use {
    const text = data.trim();
    if (text === "" || text === "[DONE]") {
      note(text === "" ? "blank data" : "[DONE] where the dialect has none");
      return "drop";
    }
    if (event === "error") note("an error");
    const json = objectIn(data, note);
    if (json === undefined) return "keep";
    if (typeof json.type !== "string") note("an event without a type");
    else if (event !== undefined && event !== json.type) note("a name that is not the type");
    this.#count(json.sequence_number, note);
    return this.#read(String(json.type), json, note);
  }

  #count(number: unknown, note: (odd: string) => void): void {
    if (typeof number !== "number") {
      note("no sequence number");
      return;
    }
    if (this.#last === undefined ? number > 1 : number > this.#last + 1) note("a gap in the sequence numbers");
    if (this.#last !== undefined && number <= this.#last) note("a sequence number that came before");
    this.#last = Math.max(this.#last ?? 0, number);
  }

  #read(type: string, json: JsonObject, note: (odd: string) => void): Use {
    if (type === "ping") {
      note("a ping");
      return "drop";
    }
    if (type === "error" || type === "response.failed" || type === "response.cancelled" || isError(json)) note("an error");
    if (says(json.delta) || isObject(json.item)) this.#hasContent = true;
    if (type !== "response.completed" && type !== "response.incomplete") {
      if (!/^response\.(created|output_item\.|output_text\.|function_call_arguments\.)/.test(type)) note("an unknown event");
      return "keep";
    }
    const { response } = json;
    if (!isObject(response)) note("an end without a response");
    else if (isError(response)) note("an error");
    else if (response.status !== type.slice("response.".length)) note("an end that its response does not bear out");
    if (isObject(response) && says(response.output)) this.#hasContent = true;
    this.#incomplete = type === "response.incomplete";
    return "end and keep";
  }

  isFinished(): boolean {
    return false;
  }

  atEnd({ ended }: { ended: boolean }, note: (odd: string) => void): void {
    if (!ended) note("no end of the response");
    if (!this.#hasContent && !this.#incomplete) note("no content");
  }
}
