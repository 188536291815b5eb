/** The same client, of whose stream another sees the events. */
import type { AnswerWatch } from "../core/text-watch.ts";
import type { ClientStream } from "../downstream/client-stream.ts";
import type { RunClient } from "../run/journal.ts";

export function shownTo(watch: AnswerWatch, client: ClientStream): RunClient {
  return {
    push(event, kind) {
      watch.event(event);
      client.push(event, kind);
    },
    commit: (headers) => client.commit(headers),
    flush: () => client.flush(),
    finish: () => client.finish(),
    begin: (status, headers) => client.begin(status, headers),
    write: (chunk) => client.write(chunk),
    onDrain: (listener) => client.onDrain(listener),
    progress: (progress) => client.progress(progress),
    renumber: (by) => client.renumber(by),
    takeOrLeave: () => client.takeOrLeave(),
  };
}
