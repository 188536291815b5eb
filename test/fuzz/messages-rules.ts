/** Anthropic messages: blocks that begin, get their pieces and end, in order; then a reason to stop. */
import type { End } from "./case.ts";
import { isError, isObject, type JsonObject, objectIn, type Rules, says, type Use } from "./rules.ts";
import type { SseEvent } from "./strict-sse.ts";

const PARTS = ["text", "thinking", "signature", "data", "partial_json"];

export class MessagesRules implements Rules {
  readonly allowsStrayLines = true;
  #begun = false;
  #blocks = 0;
  readonly #open = new Set<unknown>();
  #stopped = false;
  #hasContent = false;

  onEvent({ event, data }: SseEvent, note: (odd: string) => void): Use {
    const text = data.trim();
    if (text === "" || text === "[DONE]") {
      note(text === "" ? "blank data" : "[DONE] where the dialect has none");
      return "drop";
    }
    const json = objectIn(data, note);
    if (json === undefined) return "keep";
    const type = json.type ?? event;
    if (json.type === undefined) note("no type");
    // The SDKs go by the name, other readers by the type: where they differ, one of them loses the event.
    else if (event !== undefined && event !== json.type) note("a name and a type that differ");
    if (type === "ping") return "drop";
    if (type === "error" || isError(json)) note("an error");
    if (type === "message_stop") return "end";
    this.#read(String(type), json, note);
    return "keep";
  }

  #read(type: string, json: JsonObject, note: (odd: string) => void): void {
    const { index } = json;
    if (type !== "message_start" && !this.#begun) note("an event before the message began");
    switch (type) {
      case "message_start":
        if (this.#begun) note("a message that begins twice");
        this.#begun = true;
        return;
      case "content_block_start":
        if (index !== this.#blocks) note("a block out of order");
        if (this.#stopped) note("a block after the reason to stop");
        this.#blocks++;
        this.#open.add(index);
        if (!isObject(json.content_block) || typeof json.content_block.type !== "string") note("an odd block");
        if (isObject(json.content_block) && /tool_use$/.test(String(json.content_block.type))) this.#hasContent = true;
        return;
      case "content_block_delta":
        if (!this.#open.has(index)) note("a piece of a block that is not open");
        if (isObject(json.delta) && PARTS.some((part) => says((json.delta as JsonObject)[part]))) this.#hasContent = true;
        return;
      case "content_block_stop":
        if (!this.#open.delete(index)) note("the end of a block that is not open");
        return;
      case "message_delta": {
        const reason = isObject(json.delta) ? json.delta.stop_reason : undefined;
        if (typeof reason === "string" && reason !== "") this.#stopped = true;
        return;
      }
      default:
        note("an unknown event");
    }
  }

  isFinished(): boolean {
    return this.#stopped && this.#open.size === 0;
  }

  atEnd({ ended, how, torn }: { ended: boolean; how: End; torn: boolean }, note: (odd: string) => void): void {
    if (!this.#begun) note("no message");
    if (!this.#stopped) note("no reason to stop");
    if (this.#open.size > 0) note("a block without its end");
    if (!this.#hasContent) note("no content");
    if (!ended && how !== "clean") note("finished, then a cut");
    if (!ended && torn) note("finished, then something odd");
  }
}
