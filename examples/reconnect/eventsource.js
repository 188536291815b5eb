// In a browser, without a library: EventSource reads the answer by its address, and comes back by itself. It takes `replay.linger`,
// since the request that starts the answer is left at once. EventSource sends no headers: the request may bring no key either.

/** Calls onText with each piece of the answer, none of them twice, whatever happens to the connection. */
export async function readAnswer(baseUrl, request, onText) {
  const started = new AbortController();
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-perennial-replay": "1" },
    body: JSON.stringify({ ...request, stream: true }),
    signal: started.signal,
  });
  if (!response.ok) throw new Error(await response.text());
  const address = `${baseUrl}/streams/${response.headers.get("x-perennial-stream")}`;
  // Of the answer itself nothing is read here. After a reload of the page the address, kept in sessionStorage, is enough.
  started.abort();
  await readStream(address, onText);
}

export function readStream(address, onText) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(address);
    const over = (settle) => {
      source.close();
      settle();
    };
    source.onmessage = ({ data }) => {
      if (data === "[DONE]") return over(resolve);
      const chunk = JSON.parse(data);
      if (chunk.error) return over(() => reject(new Error(chunk.error.message)));
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) onText(text);
    };
    source.onerror = () => {
      // Otherwise it is coming back already.
      if (source.readyState === EventSource.CLOSED) over(() => reject(new Error("the answer is not kept any more")));
    };
  });
}
