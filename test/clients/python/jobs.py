"""Reads jobs, one JSON line each, has a client do them, and prints what it was told, one JSON line each."""

import json
import sys


class Answer:
    """The answer so far, and how often the program began again."""

    def __init__(self):
        self.text = ""
        self.retries = 0


def qualified(error):
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def code_of(error):
    """The code that the exception has, or the HTTP status of its response."""
    code = getattr(error, "code", None)
    if code is None:
        code = getattr(getattr(error, "response", None), "status_code", None)
    return None if code is None else str(code)


def request_of(job):
    """The body for clients that write it themselves."""
    return {"model": job["model"], "stream": job["stream"], "messages": [{"role": "user", "content": job["id"]}]}


def serve(ask):
    """`ask(job, answer)` fills the answer, and raises what the client raises."""
    for line in sys.stdin:
        answer = Answer()
        told = {"told": "complete", "type": None, "code": None}
        try:
            ask(json.loads(line), answer)
        except Exception as error:
            told = {"told": "error", "type": qualified(error), "code": code_of(error)}
        print(json.dumps({**told, "text": answer.text, "retries": answer.retries}), flush=True)
