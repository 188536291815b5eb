/** The list of models, and whether the one that is asked for is on it. */
import type { Facts } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";
import { identify, modelNamesOf } from "../identify.ts";

/** As many names as a line takes. */
const SHOWN = 5;

export function checkModels(facts: Facts): Finding[] {
  const { models, model, streamed } = facts;
  // Chatchat has one of its own choosing; an API that is elsewhere says nothing.
  if (identify(facts) === "chatchat" || (streamed?.recording.status === 404 && modelNamesOf(facts.modelsUnderV1).length > 0))
    return [];
  const names = modelNamesOf(models);
  const shown = names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ", …" : "");
  if (streamed?.failure?.status === 404 && model !== undefined) {
    const known = names.length > 0 ? `; it has ${shown}` : "";
    return [fault("models", `there is no model ${model} here, or no such path (404)${known}`, "name one with --model")];
  }
  if (names.length === 0) {
    if (models?.status === undefined) return [];
    return [note("models", `no list of models at /models (${models.status})`, "name a model with --model, if one is needed")];
  }
  if (model !== undefined && !names.includes(model)) {
    return [note("models", `${model} is not on the list: ${shown}`, "check the name, if it is refused")];
  }
  return [ok("models", `${names.length} model${names.length === 1 ? "" : "s"}: ${shown}`)];
}
