/** OpenAI responses: numbered events without a gap, the last of which holds the response. */
import { isError, isObject, type JsonObject, Names, objectIn, type Rules, says, saysNothing, type Use } from "./rules.ts";
import type { SseEvent } from "./strict-sse.ts";

export class ResponsesRules implements Rules {
  readonly allowsStrayLines = true;
  readonly #names = new Names();
  #last: number | undefined;
  #zeros = 0;
  #meansNothing = false;
  #incomplete = false;
  #hasContent = false;

  onEvent({ event, data }: SseEvent, note: (odd: string) => void): Use {
    const text = data.trim();
    if (event === "error") note("an error");
    if (text === "" || text === "[DONE]" || saysNothing(text)) {
      const odd =
        text === "" ? "blank data" : text === "[DONE]" ? "[DONE] where the dialect has none" : "data that holds nothing";
      note(this.isPart(event ?? "") ? "a part without its data" : odd);
      return "drop";
    }
    const json = objectIn(data, note);
    if (json === undefined) return "keep";
    this.#names.judge(event, json, note);
    this.#count(json.sequence_number, json.type, note);
    return this.#read(String(json.type ?? (event === "ping" ? event : undefined)), json, note);
  }

  isPart(name: string): boolean {
    return name.startsWith("response.");
  }

  #count(number: unknown, type: unknown, note: (odd: string) => void): void {
    if (typeof number !== "number") {
      note("no sequence number");
      return;
    }
    const last = this.#last ?? number - 1;
    if (this.#last === undefined && number > 1) note("numbers that begin above 1");
    if (number > last + 1) note(this.#meansNothing ? "numbers that begin again" : "a gap in the sequence numbers");
    if (this.#last !== undefined && number <= last) note("a sequence number that came before");
    if (number === 0 && last === 0) this.#zeros++;
    if (this.#zeros > 1 || (number < last && number <= 1 && type !== "response.created")) this.#meansNothing = true;
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
    else if (response.status !== type.slice("response.".length)) note(oddStatus(response.status));
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

function oddStatus(status: unknown): string {
  if (status === undefined || status === "completed" || status === "incomplete") return "an unknown status";
  const isKnown = typeof status !== "string" || /progress|queued|fail|cancel|error/.test(status);
  return isKnown ? "an end that its response does not bear out" : "an unknown status";
}
