/** The text in a raw body, for the clients that do not parse it. */

export function textOf(body: string, stream: boolean): string {
  if (!stream) return parse(body)?.choices?.[0]?.message?.content ?? "";
  let text = "";
  for (const line of body.split("\n")) {
    if (line.startsWith("data: ")) text += parse(line.slice("data: ".length))?.choices?.[0]?.delta?.content ?? "";
  }
  return text;
}

interface Completion {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly message?: { readonly content?: string };
  }[];
}

function parse(json: string): Completion | undefined {
  try {
    return JSON.parse(json) as Completion;
  } catch {
    return undefined;
  }
}
