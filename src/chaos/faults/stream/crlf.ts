/** Line ends of CR LF, as sse-starlette writes them (ChatGLM3). */
import { wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Fault } from "../../fault.ts";
import { mapSends } from "../../script.ts";

export const crlf: Fault = {
  name: "crlf",
  summary: "the whole answer with CRLF line ends",
  stream: (ask) => mapSends(wholeStream(ask), (step) => [{ ...step, bytes: step.bytes.toString().replaceAll("\n", "\r\n") }]),
  answer: wholeAnswer,
};
