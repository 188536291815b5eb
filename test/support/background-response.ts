/** A response that its server makes in the background, as a stream of numbered events. */
const WORDS = ["A", " stream", " is", " a", " small", " promise."];
const TEXT = WORDS.join("");

/** The response as the server says it. @param background as it says of itself */
export function eventsOf(background: boolean): string[] {
  let number = 0;
  const event = (type: string, fields: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number++, ...fields })}\n\n`;
  const response = (status: string, output: object[] = []): object => ({
    id: "resp_1",
    object: "response",
    status,
    background,
    output,
  });
  const item = (status: string, content: object[]): object => ({
    id: "msg_1",
    type: "message",
    role: "assistant",
    status,
    content,
  });
  const part = { type: "output_text", text: TEXT, annotations: [] };
  const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
  return [
    event("response.created", { response: response("in_progress") }),
    event("response.output_item.added", { output_index: 0, item: item("in_progress", []) }),
    event("response.content_part.added", { ...at, part: { ...part, text: "" } }),
    ...WORDS.map((delta) => event("response.output_text.delta", { ...at, delta })),
    event("response.output_text.done", { ...at, text: TEXT }),
    event("response.output_item.done", { output_index: 0, item: item("completed", [part]) }),
    event("response.completed", { response: response("completed", [item("completed", [part])]) }),
  ];
}
