// In a browser, with @microsoft/fetch-event-source: when the connection breaks it asks again by itself, with Last-Event-ID.
import { fetchEventSource } from "@microsoft/fetch-event-source";

/** What asking again cannot mend. */
class Final extends Error {}

/** Calls onText with each piece of the answer, none of them twice, whatever happens to the connection. */
export async function readAnswer(baseUrl, request, onText) {
  let isWhole = false;
  let last = {};
  await fetchEventSource(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-perennial-replay": "1" },
    body: JSON.stringify({ ...request, stream: true }),
    // What it has had whole: left alone, it would also name an event of which it has had no more than the id.
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...last } }),
    // A tab in the background goes on reading.
    openWhenHidden: true,
    async onopen(response) {
      // 410: the answer is not kept any more. To ask anew is the user's to decide: the text begins again.
      if (response.status >= 400 && response.status < 500) throw new Final(await response.text());
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
    },
    onmessage({ data, id }) {
      if (id !== "") last = { "last-event-id": id };
      if (data === "[DONE]") isWhole = true;
      if (data === "" || data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Final(chunk.error.message);
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) onText(text);
    },
    onerror(error) {
      if (error instanceof Final) throw error;
      // Nothing is thrown: it comes back after a second.
    },
  });
  if (!isWhole) throw new Error("the answer is not whole");
}
