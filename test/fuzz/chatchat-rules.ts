/** Chatchat's native routes: text in events, and nothing but the end of the body to say that it is all. */
import type { End } from "./case.ts";
import { isError, objectIn, type Rules, says, saysNothing, type Use } from "./rules.ts";
import type { SseEvent } from "./strict-sse.ts";

export class ChatchatRules implements Rules {
  readonly allowsStrayLines = false;
  #hasContent = false;

  onEvent({ event, data }: SseEvent, note: (odd: string) => void): Use {
    const text = data.trim();
    if (event === "error") note("an error event");
    if (text === "" || text === "[DONE]") {
      note(text === "" ? "blank data" : "[DONE] where the dialect has none");
      return "drop";
    }
    if (event !== undefined && event !== "error") note("an event name");
    if (saysNothing(data) || event === "ping") {
      note(event === "ping" ? "a ping" : "data that holds nothing");
      return "drop";
    }
    const json = objectIn(data, note);
    if (json === undefined) return "keep";
    if (isError(json) || (typeof json.code === "number" && json.code !== 200 && typeof json.msg === "string")) note("an error");
    if (says(json.text) || says(json.answer)) this.#hasContent = true;
    else note("an unknown event");
    return "keep";
  }

  isPart(): boolean {
    return false;
  }

  isFinished(): boolean {
    return false;
  }

  atEnd({ how, torn }: { how: End; torn: boolean }, note: (odd: string) => void): void {
    if (how !== "clean") note("no clean end");
    if (torn) note("an end within an event");
    if (!this.#hasContent) note("no content");
  }
}
