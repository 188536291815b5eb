/** The answer of `/v1/embeddings`: a small vector made of the input's hash, so that it is the same each time. */
import { createHash } from "node:crypto";

const DIMENSIONS = 8;
const MAX_DIMENSIONS = 4096;

export function embeddings(body: Readonly<Record<string, unknown>>, model: string): unknown {
  const { input, dimensions, encoding_format: encoding } = body;
  // An array of numbers is one input, given as tokens.
  const inputs = Array.isArray(input) && typeof input[0] !== "number" ? input : [input ?? ""];
  const size = Number.isInteger(dimensions) ? Math.min(Math.max(dimensions as number, 1), MAX_DIMENSIONS) : DIMENSIONS;
  const tokens = Math.ceil(JSON.stringify(inputs).length / 4);
  return {
    object: "list",
    data: inputs.map((text, index) => {
      const vector = embed(text, size);
      // The OpenAI SDKs ask for base64 unless told otherwise.
      return { object: "embedding", index, embedding: encoding === "base64" ? toBase64(vector) : [...vector] };
    }),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function embed(input: unknown, size: number): Float32Array {
  const vector = new Float32Array(size);
  const seed = JSON.stringify(input);
  for (let i = 0; i < size; i += 8) {
    const digest = createHash("sha256").update(`${i}:${seed}`).digest();
    for (let j = i; j < Math.min(i + 8, size); j++) vector[j] = digest.readInt32LE((j - i) * 4) / 2 ** 31;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((x) => x / length);
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer).toString("base64");
}
