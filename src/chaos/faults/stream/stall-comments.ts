/** A stream that only pings: bytes keep coming, content does not. DeepSeek and OpenRouter ping like this while they wait. */
import { openedStream } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { fin, replyHead, type Step, send } from "../../script.ts";

export const stallComments: Fault = {
  name: "stall-comments",
  arg: events(),
  summary: "only comments after this many events",
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield* pings(ask, ": keep-alive\n\n");
  },
  *answer(ask) {
    // DeepSeek sends blank lines while a request that is not streamed waits.
    yield { ...replyHead(200, "application/json"), forcedFraming: "chunked" };
    yield* pings(ask, "\n");
  },
};

function* pings({ timing }: Ask, bytes: string): Iterable<Step> {
  for (let waited = 0; waited < timing.stallMs; waited += timing.commentMs) yield send(bytes, timing.commentMs);
  yield fin;
}
