/** What an upstream keeps of an answer, by its name alone: where it is to be had again, and how it is told that nobody wants it. */
import { type Discarding, discardKept } from "./discard-kept.ts";
import type { Kept, KeptName } from "./native-session.ts";

export function keptBy(name: KeptName, discarding: Discarding): Kept {
  const id = encodeURIComponent(name.id);
  if (name.kind === "conversation") {
    return {
      name,
      from: "beginning",
      // What the client has is known by its events, not by bytes.
      pathAfter: () => `/stream?conv_id=${id}&from=0`,
      discard: () => void discardKept(discarding, "DELETE", `/stream?conv_id=${id}`),
    };
  }
  return {
    name,
    from: "given",
    pathAfter: ({ sequence, obstacles }) =>
      sequence === undefined || obstacles.has("sequence") ? undefined : `/responses/${id}?stream=true&starting_after=${sequence}`,
    discard: () => {
      if (!name.isClients) void discardKept(discarding, "POST", `/responses/${id}/cancel`);
    },
  };
}
