"""Reads a streamed answer, and comes back for the rest of it when the connection breaks. Needs nothing but Python."""
import http.client
import json
import sys
import time
import urllib.error
import urllib.request


def read_answer(base_url, request, headers=None, tries=10):
    """Yields each piece of the answer, none of them twice, whatever happens to the connection."""
    url, body, last_id = f"{base_url}/chat/completions", json.dumps({**request, "stream": True}).encode(), None
    for _ in range(tries):
        sent = {"content-type": "application/json", "x-perennial-replay": "1", **(headers or {})}
        if last_id is not None:
            # The same request, and how far it has come. A 410 says that the answer is not kept any more.
            sent["last-event-id"] = last_id
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, sent), timeout=600) as response:
                for event_id, data in read_events(response):
                    last_id = event_id
                    if data == "[DONE]":
                        return
                    chunk = json.loads(data)
                    if "error" in chunk:
                        raise RuntimeError(chunk["error"]["message"])
                    for choice in chunk["choices"]:
                        yield choice["delta"].get("content") or ""
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            pass
        if last_id is None:
            # Nothing had come, so there is nothing to come back to: the request is made anew.
            continue
        time.sleep(1)
    raise RuntimeError("the answer is not whole")


def read_events(response):
    """Only events that came whole: what the connection broke in comes again."""
    event_id, data = None, []
    for line in response:
        field, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            event_id = value
        elif field == "data":
            data.append(value)
        elif field == "" and value == "" and data:
            yield event_id, "\n".join(data)
            data = []


if __name__ == "__main__":
    base, question = sys.argv[1:3]
    for text in read_answer(base, {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}):
        print(text, end="", flush=True)
