/** Finds what an answer has made that clients come back for: the id of a response, and of whatever else a request creates. */
import type { AttemptOutput, AttemptResult } from "../core/attempt-output.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { isObject, parseObject } from "../dialect/json.ts";

/** What creates something answers with a short description of it. */
const MAX_BYTES = 64 * 1_024;

export interface MadeOptions {
  /** Told the id, as soon as it is known. */
  onMade(id: string): void;
}

/** The output of a streamed response, whose first events name it. */
export function watchingResponse(output: AttemptOutput, { onMade }: MadeOptions): AttemptOutput {
  return {
    ...output,
    openStream(headers, opening) {
      const next = output.openStream(headers, opening);
      let isKnown = false;
      return {
        push(event, kind) {
          if (!isKnown) {
            const { response } = parseObject(event.data) ?? {};
            const id = isObject(response) ? response.id : undefined;
            isKnown = typeof id === "string";
            if (isKnown) onMade(id as string);
          }
          next.push(event, kind);
        },
        flush: () => next.flush(),
        finish: () => next.finish(),
      };
    },
  };
}

/** The output of a body that is passed through. @returns also what looks for the id once all of it has passed. */
export function watchingBody(output: AttemptOutput, { onMade }: MadeOptions): { output: AttemptOutput; look(): void } {
  let kept: Buffer[] | undefined;
  let bytes = 0;
  return {
    output: {
      ...output,
      openBody(status, headers) {
        if (status < 300 && saysJson(headers)) kept = [];
        output.openBody(status, headers);
      },
      write(chunk) {
        bytes += chunk.length;
        if (bytes > MAX_BYTES) kept = undefined;
        kept?.push(chunk);
        return output.write(chunk);
      },
    },
    look() {
      const { id } = parseObject(Buffer.concat(kept ?? []).toString("utf8")) ?? {};
      if (typeof id === "string") onMade(id);
    },
  };
}

export function lookInReply(result: AttemptResult, { onMade }: MadeOptions): void {
  if (result.kind !== "reply") return;
  const { id } = parseObject(result.body.toString("utf8")) ?? {};
  if (typeof id === "string") onMade(id);
}

function saysJson(headers: ReplyHeaders): boolean {
  return headers["content-encoding"] === undefined && /\bjson\b/i.test(String(headers["content-type"] ?? ""));
}
