/** A formally whole answer without content: a model may have nothing to say. */
import { dialectOf, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { jsonReply } from "../../script.ts";

export const wholeEmpty: Fault = {
  name: "whole-empty",
  summary: "role, finish stop and [DONE], no content",
  stream: (ask) => wholeStream(ask, []),
  answer: (ask) => jsonReply(200, dialectOf(ask).answer(ask, [])),
};
