/** Every cell of the table: which fault, by which way, and what the client must be told. */
import { ANSWER, TOKENS } from "../../src/chaos/answer.ts";
import { type Expected, WHOLE } from "./expected.ts";
import type { Gateways, InterruptEnd } from "./gateways.ts";

export type Column = "truncate" | "eof" | "empty" | "whole" | `interrupted ${InterruptEnd}` | `no text ${InterruptEnd}` | "http";

export interface Cell {
  readonly column: Column;
  /** Continues `is told X …`. */
  readonly title: string;
  readonly baseUrl: (gateways: Gateways) => string;
  /** The fault, as in `chaos/…`. */
  readonly fault: string;
  readonly stream: boolean;
  readonly told: string;
  /** Undefined: some part of the answer, since the transport may have dropped the rest. */
  readonly text: string | undefined;
  readonly readMs?: number;
}

/** Long enough for the whole stream to have arrived, and broken, behind the first piece. */
const SLOWLY_MS = 100;

/** What arrives before `truncate:5` and `eof:5` end: the role, and four pieces. */
export const SO_FAR = TOKENS.slice(0, 4).join("");

const ENDS = ["auto", "clean", "cut"] as const;

export function cellsOf(expected: Expected, hasPlain: boolean): readonly Cell[] {
  const { direct, http } = expected;
  const cells: Cell[] = [
    directly("truncate", "truncate:5", "of a stream that is cut in mid-text", direct.truncate, SO_FAR),
    directly("eof", "eof:5", "of a stream that ends without a finish", direct.eof, SO_FAR),
    directly("empty", "empty", "of a 200 with no data", direct.empty, ""),
  ];
  cells.push({
    ...directly("whole", "slow:60", "of a stream with a heartbeat between its pieces", WHOLE, ANSWER),
    baseUrl: (gateways) => gateways.beating,
    title: "of a stream with heartbeats between its pieces",
  });
  const isCut = expected.auto === "cut";
  cells.push(
    {
      ...directly("whole", "slow:60", "", WHOLE, ANSWER),
      baseUrl: (gateways) => gateways.numbered,
      title: "of a stream whose events have ids, with heartbeats between them",
    },
    {
      ...directly("truncate", "truncate:5", "", expected.interrupted[isCut ? 1 : 0] ?? "", SO_FAR),
      column: "interrupted auto",
      baseUrl: (gateways) => gateways.numbered,
      title: "of a break in mid-text of a stream whose events have ids",
    },
  );
  for (const end of ENDS) {
    const index = (end === "auto" ? expected.auto : end) === "clean" ? 0 : 1;
    const baseUrl = (gateways: Gateways): string => gateways.plain[end];
    const told = {
      interrupted: expected.interrupted[index] ?? "",
      noText: expected.noText[index] ?? "",
      slowly: expected.slowly?.[index],
    };
    for (const stream of hasPlain ? [true, false] : [true]) {
      const how = `${stream ? "streamed" : "not streamed"}, interruptEnd: ${end}`;
      const common = { stream, baseUrl, text: "" };
      for (const fault of ["ok", "empty,ok", "close,ok"]) {
        cells.push({ ...common, column: "whole", fault, title: `at ${fault} (${how})`, told: WHOLE, text: ANSWER });
      }
      cells.push(
        {
          ...common,
          column: "http",
          fault: "empty",
          title: `of an upstream that is always empty (${how})`,
          told: http("empty_stream", 502),
        },
        {
          ...common,
          column: "http",
          fault: "429:0",
          title: `of a rate limit for ever (${how})`,
          told: http("rate_limit_exceeded", 429),
        },
        {
          ...common,
          column: "http",
          fault: "ok",
          title: `of an upstream where nothing listens (${how})`,
          baseUrl: (gateways) => gateways.down[end],
          told: http("upstream_unreachable", 502),
        },
      );
      // Without streaming nothing has been sent yet when an answer breaks, heartbeats neither.
      if (!stream) {
        cells.push({
          ...common,
          column: "http",
          fault: "truncate",
          title: `of an answer that is always cut (${how})`,
          told: http("stream_truncated", 502),
        });
        continue;
      }
      if (told.slowly !== undefined) {
        cells.push({
          ...common,
          column: `interrupted ${end}`,
          fault: "truncate:5",
          title: `of a break in mid-text, reading slowly (${how})`,
          told: told.slowly,
          text: index === 0 ? SO_FAR : undefined,
          readMs: SLOWLY_MS,
        });
      }
      cells.push(
        {
          ...common,
          column: `interrupted ${end}`,
          fault: "truncate:5",
          title: `of a break in mid-text (${how})`,
          told: told.interrupted,
          text: SO_FAR,
        },
        {
          ...common,
          column: `no text ${end}`,
          fault: "stall-first",
          title: `of a failure after a heartbeat, before any text (${how})`,
          baseUrl: (gateways) => gateways.heartbeat[end],
          told: told.noText,
        },
      );
    }
  }
  return cells;
}

function directly(column: Column, fault: string, title: string, told: string, text: string): Cell {
  return { column, fault, title: `${title} (directly)`, told, text, stream: true, baseUrl: (gateways) => gateways.direct };
}
