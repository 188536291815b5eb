/** One case: what the upstream sends, byte by byte, to a request in one dialect. */

export const DIALECTS = ["chat", "completions", "messages", "responses", "chatchat", "chatchat-completions"] as const;
export type DialectName = (typeof DIALECTS)[number];

/** How the body ends: as HTTP says, by an end of the connection before that, or by a reset. */
export type End = "clean" | "cut" | "reset";
export type Framing = "chunked" | "content-length" | "close";

export interface Case {
  readonly dialect: DialectName;
  /** `n` of the request. */
  readonly choices: number;
  readonly body: Buffer;
  /** Where the body is cut into writes. */
  readonly splits: readonly number[];
  readonly framing: Framing;
  readonly end: End;
  /** What was done to a valid stream, in words. */
  readonly done: readonly string[];
}

/** For a command line: what is needed to play the case again. */
export function packCase({ dialect, choices, body, splits, framing, end }: Case): string {
  return Buffer.from(JSON.stringify({ dialect, choices, body: body.toString("base64"), splits, framing, end })).toString(
    "base64url",
  );
}

export function unpackCase(text: string): Case {
  const { body, ...rest } = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  return { ...rest, body: Buffer.from(body, "base64"), done: [] };
}
