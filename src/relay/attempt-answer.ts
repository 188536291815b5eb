/** One attempt at an answer that is not streamed: buffered, checked, and passed on; or made from a stream that is watched as one. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import type { BodyReader } from "../attempt/body-reader.ts";
import { type CallControl, callUpstream } from "../attempt/call-upstream.ts";
import { createStreamReader } from "../attempt/stream-reader.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { ReplyHeaders } from "../downstream/client-response.ts";
import { bodyAsked, callFor, type DialectAttempt } from "./dialect-attempt.ts";
import { chooseByMediaType } from "./response-media.ts";

interface Answer {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Buffer;
  readonly repaired: boolean;
}

/** @returns whether the answer had to be repaired. */
export async function attemptAnswer(context: DialectAttempt): Promise<boolean> {
  const { response, options } = context;
  const streamed = options.nonStreaming === "viaStream" ? bodyAsked(context, true) : undefined;
  const viaStream = streamed !== undefined;
  const answer = await callUpstream<Answer>(
    callFor(
      context,
      // Nothing comes before the whole answer is there, so only the total time limits the wait for its first byte.
      { firstTokenMs: viaStream ? options.timeouts.firstToken : 0, idleMs: options.timeouts.idle },
      streamed,
    ),
    ({ status, headers }, control) => {
      const json = (): BodyReader => readAnswer(status, headers, control, context);
      const stream = (): BodyReader => joinStream(status, headers, control, context);
      if (viaStream) return chooseByMediaType(headers, { stream, json });
      return chooseByMediaType(headers, { json });
    },
  );
  response.reply(answer.status, answer.headers, answer.body);
  return answer.repaired;
}

function readAnswer(status: number, headers: ReplyHeaders, control: CallControl<Answer>, context: DialectAttempt): BodyReader {
  // The head has come: from now on silence is a stall.
  control.progress();
  return createAnswerReader({
    maxBytes: context.options.limits.maxBodyBytes,
    onProgress: control.progress,
    onFailure: control.fail,
    onWhole(body) {
      const problem = context.dialect.inspectAnswer(parseAnswer(body), context.acceptEmpty, context.asked);
      if (problem !== undefined) throw problem;
      control.succeed({ status, headers, body, repaired: false }, true);
    },
  });
}

/** Nobody sees the stream before it is whole, so a cut at any place can be tried again. */
function joinStream(status: number, headers: ReplyHeaders, control: CallControl<Answer>, context: DialectAttempt): BodyReader {
  const { dialect, asked, acceptEmpty, options } = context;
  const events: StreamEvent[] = [];
  let bytes = 0;
  return createStreamReader({
    asked,
    acceptEmpty,
    dialect: {
      inspectStream: dialect.inspectStream,
      repairsTerminator: dialect.repairsTerminator,
      oneEventPerWrite: false,
      encodeEvent(event) {
        events.push(event);
        bytes += Buffer.byteLength(event.data);
        return "";
      },
    },
    sink: { push: () => true, open: () => {} },
    maxEventBytes: options.limits.maxEventBytes,
    holdToolCalls: false,
    maxHeldBytes: 0,
    maxHeldEventBytes: 0,
    requireTerminator: options.requireDone,
    onContent() {
      control.progress();
      if (bytes <= options.limits.maxBodyBytes) return;
      control.fail(new Failure("stream_corrupted", `the upstream's answer is larger than ${options.limits.maxBodyBytes} bytes`));
    },
    onFull() {},
    onFailure: control.fail,
    onWhole({ repaired, bodyEnded }) {
      const answer = dialect.eventsToAnswer(events, asked);
      if (answer === undefined) throw new Failure("stream_corrupted", "the upstream's last event does not hold the answer");
      const body = Buffer.from(JSON.stringify(answer));
      control.succeed({ status, headers: { ...headers, "content-type": "application/json" }, body, repaired }, bodyEnded);
    },
  });
}
