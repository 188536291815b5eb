/** How the end of a body is known: by chunks, by chunks and a closed connection, by its length, or by the closing alone, where a cut cannot be told from an end. */
export const FRAMINGS = ["chunked", "chunked-close", "content-length", "close-delimited"] as const;

export type Framing = (typeof FRAMINGS)[number];
