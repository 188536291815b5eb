/** The client of every tutorial: it adds the pieces up until the stream is over, and throws when it is told of an error. */

export interface Reading {
  readonly text: string;
  readonly end: "not yet" | "over" | { readonly error: string };
}

/** Fed with what came from the network, as it came. */
export class NaiveClient {
  #rest = "";
  #reading: Reading = { text: "", end: "not yet" };

  get reading(): Reading {
    return this.#reading;
  }

  head(status: number): void {
    if (status !== 200) this.#stop({ error: `HTTP ${status}` });
  }

  read(bytes: string): void {
    const lines = (this.#rest + bytes).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) this.#take(line.slice("data:".length).trim());
  }

  end(how: "clean" | "cut"): void {
    this.#stop(how === "clean" ? "over" : { error: "" });
  }

  #take(data: string): void {
    if (this.#reading.end !== "not yet") return;
    if (data === "[DONE]") {
      this.#stop("over");
      return;
    }
    const chunk = JSON.parse(data) as { error?: { code?: string }; choices?: { delta?: { content?: string } }[] };
    if (chunk.error) this.#stop({ error: chunk.error.code ?? "" });
    else this.#reading = { ...this.#reading, text: this.#reading.text + (chunk.choices?.[0]?.delta?.content ?? "") };
  }

  #stop(end: Reading["end"]): void {
    if (this.#reading.end === "not yet") this.#reading = { ...this.#reading, end };
  }
}
