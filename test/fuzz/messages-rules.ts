/** Anthropic messages: blocks that begin, get their pieces and end, in order; then a reason to stop. */
import type { End } from "./case.ts";
import { isError, isObject, type JsonObject, Names, objectIn, type Rules, says, saysNothing, type Use } from "./rules.ts";
import type { SseEvent } from "./strict-sse.ts";

const PARTS = ["text", "thinking", "signature", "data", "partial_json"];

export class MessagesRules implements Rules {
  readonly allowsStrayLines = true;
  #begun = false;
  #blocks = 0;
  readonly #open = new Set<unknown>();
  /** Every number that a block ever had, and whether the last of them was a tool's. */
  readonly #seen = new Map<unknown, boolean>();
  readonly #names = new Names();
  #stopped = false;
  #saidNull = false;
  #wentOn = false;
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
    const type = json.type ?? event;
    // The SDKs go by the name, other readers by the type: where they differ, one of them loses the event.
    this.#names.judge(event, json, note);
    if (type === "ping") return "drop";
    if (type === "error" || isError(json)) note("an error");
    if (type === "message_stop") return "end";
    this.#read(String(type), json, note);
    return "keep";
  }

  isPart(name: string): boolean {
    return /^(?:message_start|message_delta|content_block_(?:start|delta|stop))$/.test(name);
  }

  #read(type: string, json: JsonObject, note: (odd: string) => void): void {
    const { index } = json;
    if (type !== "message_start" && !this.#begun) note("no message_start");
    switch (type) {
      case "message_start":
        if (this.#begun) note("a message that begins twice");
        this.#begun = true;
        return;
      case "content_block_start":
        if (index !== this.#blocks) note("a block out of order");
        if (this.#stopped) this.#wentOn = true;
        this.#blocks++;
        this.#open.add(index);
        this.#seen.set(index, isObject(json.content_block) && /tool_use$/.test(String(json.content_block.type)));
        if (!isObject(json.content_block) || typeof json.content_block.type !== "string") note("an odd block");
        if (isObject(json.content_block) && /tool_use$/.test(String(json.content_block.type))) this.#hasContent = true;
        return;
      case "content_block_delta":
        this.#onPiece(index, isObject(json.delta) ? json.delta : {}, note);
        return;
      case "content_block_stop":
        if (!this.#open.delete(index)) note("the end of a block that is not open");
        return;
      case "message_delta": {
        const reason = isObject(json.delta) ? json.delta.stop_reason : undefined;
        if (reason === null) this.#saidNull = true;
        if (typeof reason === "string" && reason !== "") this.#stopped = true;
        return;
      }
      default:
        note("an unknown event");
    }
  }

  #onPiece(index: unknown, delta: JsonObject, note: (odd: string) => void): void {
    const holds = PARTS.some((part) => says(delta[part]));
    if (holds) this.#hasContent = true;
    if (holds && this.#stopped) this.#wentOn = true;
    if (this.#open.has(index)) return;
    if (!holds) note("an empty piece of a block that is not open");
    else if (!this.#seen.has(index)) note("a piece of a block that never began");
    else note(this.#seen.get(index) ? "a piece of a tool call that has ended" : "a piece of a text that has ended");
  }

  isFinished(): boolean {
    return this.#stopped && this.#open.size === 0;
  }

  atEnd({ ended, how, torn }: { ended: boolean; how: End; torn: boolean }, note: (odd: string) => void): void {
    if (!this.#begun) note("no message_start");
    const saysIt = ended && !this.#saidNull;
    if (!this.#stopped) note(saysIt ? "message_stop without a reason to stop" : "no reason to stop");
    if (this.#wentOn) note(ended ? "more after the reason to stop, then message_stop" : "more after the reason to stop");
    if (this.#open.size > 0) note("a block without its end");
    if (!this.#hasContent) note("no content");
    if (!ended && how !== "clean") note("finished, then a cut");
    if (!ended && torn) note("finished, then something odd");
  }
}
