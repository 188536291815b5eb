/** An error told beside an answer that is missing, with status 200 and without a field for errors: MiniMax. */
import { openedStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, jsonReply } from "../../script.ts";

const ERROR = { choices: null, base_resp: { status_code: 1002, status_msg: "rate limit" } };

export const errorBaseResp: Fault = {
  name: "error-base-resp",
  arg: events(),
  summary: '{"base_resp": {"status_code": 1002, …}} after this many events',
  *stream(ask, count) {
    yield* openedStream(ask, count);
    yield event(ERROR);
  },
  answer: () => jsonReply(200, ERROR),
};
