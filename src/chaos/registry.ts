/** Every fault there is. A new one is a file in `faults/` and a line here. */
import type { Fault } from "./fault.ts";
import { CONTINUED } from "./faults/continuation/continued.ts";
import { html } from "./faults/http/html.ts";
import { json } from "./faults/http/json.ts";
import { jsonError } from "./faults/http/json-error.ts";
import { noRetry } from "./faults/http/no-retry.ts";
import { nullBody } from "./faults/http/null.ts";
import { retry400 } from "./faults/http/retry-400.ts";
import { stallError } from "./faults/http/stall-error.ts";
import { status400 } from "./faults/http/status-400.ts";
import { status401 } from "./faults/http/status-401.ts";
import { status404 } from "./faults/http/status-404.ts";
import { status408 } from "./faults/http/status-408.ts";
import { status409 } from "./faults/http/status-409.ts";
import { status422 } from "./faults/http/status-422.ts";
import { status429 } from "./faults/http/status-429.ts";
import { status429Date } from "./faults/http/status-429-date.ts";
import { status429Ms } from "./faults/http/status-429-ms.ts";
import { status500 } from "./faults/http/status-500.ts";
import { status502 } from "./faults/http/status-502.ts";
import { status503 } from "./faults/http/status-503.ts";
import { status504 } from "./faults/http/status-504.ts";
import { azure } from "./faults/stream/azure.ts";
import { badUtf8 } from "./faults/stream/bad-utf8.ts";
import { bigEvent } from "./faults/stream/big-event.ts";
import { bom } from "./faults/stream/bom.ts";
import { comments } from "./faults/stream/comments.ts";
import { commentsOnly } from "./faults/stream/comments-only.ts";
import { cr } from "./faults/stream/cr.ts";
import { crlf } from "./faults/stream/crlf.ts";
import { debris } from "./faults/stream/debris.ts";
import { doneOnly } from "./faults/stream/done-only.ts";
import { doneWithoutFinish } from "./faults/stream/done-without-finish.ts";
import { empty } from "./faults/stream/empty.ts";
import { errorAbort } from "./faults/stream/error-abort.ts";
import { errorBaseResp } from "./faults/stream/error-base-resp.ts";
import { errorEvent } from "./faults/stream/error-event.ts";
import { errorFastchat } from "./faults/stream/error-fastchat.ts";
import { errorField } from "./faults/stream/error-field.ts";
import { errorFinish } from "./faults/stream/error-finish.ts";
import { errorLmstudio } from "./faults/stream/error-lmstudio.ts";
import { errorNamed } from "./faults/stream/error-named.ts";
import { errorOllama } from "./faults/stream/error-ollama.ts";
import { errorPretty } from "./faults/stream/error-pretty.ts";
import { errorSglang } from "./faults/stream/error-sglang.ts";
import { errorString } from "./faults/stream/error-string.ts";
import { errorText } from "./faults/stream/error-text.ts";
import { errorVllm } from "./faults/stream/error-vllm.ts";
import { errorVllmFlat } from "./faults/stream/error-vllm-flat.ts";
import { filtered } from "./faults/stream/filtered.ts";
import { flood } from "./faults/stream/flood.ts";
import { goesOn } from "./faults/stream/goes-on.ts";
import { halfJson } from "./faults/stream/half-json.ts";
import { long } from "./faults/stream/long.ts";
import { manyChoices } from "./faults/stream/many-choices.ts";
import { metas } from "./faults/stream/metas.ts";
import { noDone } from "./faults/stream/no-done.ts";
import { nullEvents } from "./faults/stream/null-events.ts";
import { rawText } from "./faults/stream/raw-text.ts";
import { reasoning } from "./faults/stream/reasoning.ts";
import { reasoningCut } from "./faults/stream/reasoning-cut.ts";
import { roleOnly } from "./faults/stream/role-only.ts";
import { stall } from "./faults/stream/stall.ts";
import { stallComments } from "./faults/stream/stall-comments.ts";
import { stallFirst } from "./faults/stream/stall-first.ts";
import { stallHeaders } from "./faults/stream/stall-headers.ts";
import { strayPart } from "./faults/stream/stray-part.ts";
import { tools } from "./faults/stream/tools.ts";
import { toolsCut } from "./faults/stream/tools-cut.ts";
import { twoChoices } from "./faults/stream/two-choices.ts";
import { wholeEmpty } from "./faults/stream/whole-empty.ts";
import { close } from "./faults/transport/close.ts";
import { continueFirst } from "./faults/transport/continue-first.ts";
import { cut } from "./faults/transport/cut.ts";
import { cutReset } from "./faults/transport/cut-reset.ts";
import { drip } from "./faults/transport/drip.ts";
import { eof } from "./faults/transport/eof.ts";
import { garbage } from "./faults/transport/garbage.ts";
import { gzip } from "./faults/transport/gzip.ts";
import { holdOpen } from "./faults/transport/hold-open.ts";
import { ok } from "./faults/transport/ok.ts";
import { resetInStream } from "./faults/transport/reset.ts";
import { resetBeforeHeaders } from "./faults/transport/reset-before-headers.ts";
import { slow } from "./faults/transport/slow.ts";
import { truncate } from "./faults/transport/truncate.ts";
import { truncateEvent } from "./faults/transport/truncate-event.ts";
import { wrongLength } from "./faults/transport/wrong-length.ts";

export interface FaultGroup {
  readonly title: string;
  readonly faults: readonly Fault[];
}

export const FAULT_GROUPS: readonly FaultGroup[] = [
  {
    title: "Transport: what happens to the connection",
    faults: [
      ok,
      slow,
      drip,
      close,
      resetInStream,
      resetBeforeHeaders,
      garbage,
      truncate,
      truncateEvent,
      cut,
      cutReset,
      eof,
      wrongLength,
      gzip,
      continueFirst,
      holdOpen,
    ],
  },
  {
    title: "HTTP: what the server answers instead",
    faults: [
      status500,
      status502,
      status503,
      status504,
      status408,
      status409,
      status400,
      status401,
      status404,
      status422,
      status429,
      status429Ms,
      status429Date,
      noRetry,
      retry400,
      stallError,
      jsonError,
      html,
      nullBody,
      json,
    ],
  },
  {
    title: "Stream: what the answer is made of",
    faults: [
      empty,
      roleOnly,
      doneOnly,
      commentsOnly,
      wholeEmpty,
      filtered,
      stall,
      stallFirst,
      stallHeaders,
      stallComments,
      halfJson,
      errorEvent,
      errorString,
      errorVllm,
      errorVllmFlat,
      errorFastchat,
      errorSglang,
      errorLmstudio,
      errorNamed,
      errorField,
      errorText,
      errorPretty,
      errorBaseResp,
      errorFinish,
      errorAbort,
      errorOllama,
      doneWithoutFinish,
      noDone,
      goesOn,
      twoChoices,
      bigEvent,
      rawText,
      strayPart,
      debris,
      badUtf8,
      crlf,
      cr,
      bom,
      comments,
      nullEvents,
      azure,
      tools,
      toolsCut,
      reasoning,
      reasoningCut,
      long,
      flood,
      metas,
      manyChoices,
    ],
  },
];

/** All that can happen to a new question. */
export const FAULTS: readonly Fault[] = FAULT_GROUPS.flatMap((group) => group.faults);

/** What can happen when the rest of an answer is asked for; a new question is answered as if nothing were wrong. */
export const CONTINUATIONS: FaultGroup = {
  title: "Continuation: what comes when the rest of an answer is asked for",
  faults: CONTINUED,
};

const BY_NAME = new Map([...FAULTS, ...CONTINUED].map((fault) => [fault.name, fault]));

export function findFault(name: string): Fault | undefined {
  return BY_NAME.get(name);
}
