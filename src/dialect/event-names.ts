/** Whether the events of a dialect with types are what they say: by the name in the `event:` line, and by the type in the data. */
import { Failure } from "../core/failure.ts";
import { isObject, type JsonObject } from "./json.ts";

/** Names that say nothing of the answer. */
const SIGNS_OF_LIFE: ReadonlySet<unknown> = new Set(["ping", "error"]);

/**
 * Some servers send no names, others no types, or a name that is always the same. Clients go by the one or by the other, and never see an
 * event that lacks it. So the first event shows what a server does, and an event that does otherwise has lost a piece.
 */
export class EventNames {
  readonly #isPartName: (name: string) => boolean;
  #areNamesTypes: boolean | undefined;
  #areTyped = false;

  /** @param isPartName an event of such a name is a part of the answer. */
  constructor(isPartName: (name: string) => boolean) {
    this.#isPartName = isPartName;
  }

  /** @returns why the event cannot be what it was. */
  judge(event: string | undefined, json: JsonObject): Failure | undefined {
    const { type } = json;
    if (typeof type !== "string") {
      const isLost = this.#areTyped && (isPart(json) || (event !== undefined && this.#isPartName(event)));
      return isLost ? lost("an event without its type") : undefined;
    }
    this.#areTyped = true;
    if (event === undefined || SIGNS_OF_LIFE.has(type)) return undefined;
    if (SIGNS_OF_LIFE.has(event)) return isPart(json) ? lost(`an event named ${event} that is none`) : undefined;
    this.#areNamesTypes ??= event === type;
    return this.#areNamesTypes && event !== type ? lost("an event whose name and type differ") : undefined;
  }
}

function isPart({ delta, content_block, message, item, part, response, index, sequence_number }: JsonObject): boolean {
  if (typeof delta === "string" || typeof index === "number" || typeof sequence_number === "number") return true;
  return [delta, content_block, message, item, part, response].some(isObject);
}

function lost(what: string): Failure {
  return new Failure("stream_corrupted", `the upstream sent ${what}`);
}

/** The data of an event is not there, but for its name, which says that it was a part of the answer. */
export function lostData(): Failure {
  return new Failure("stream_corrupted", "the upstream sent an event without its data");
}
