"""The loop around requests that people copy: data lines up to [DONE], what is not JSON skipped, tried again when the connection breaks."""

import json
import time

import requests
from jobs import request_of, serve
from requests.exceptions import ChunkedEncodingError, Timeout

ATTEMPTS = 3


def ask(job, answer):
    skipped = (json.JSONDecodeError, KeyError) if job.get("skipKeyError", True) else json.JSONDecodeError
    for attempt in range(ATTEMPTS):
        answer.text = ""
        answer.retries = attempt
        try:
            once(job, answer, skipped)
            return
        except (ChunkedEncodingError, Timeout):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.01)


def once(job, answer, skipped):
    response = requests.post(job["baseUrl"] + "/chat/completions", json=request_of(job), stream=job["stream"], timeout=30)
    response.raise_for_status()
    if not job["stream"]:
        answer.text = response.json()["choices"][0]["message"]["content"]
        return
    for line in response.iter_lines():
        if not line.startswith(b"data: "):
            continue
        data = line[len(b"data: ") :]
        if data == b"[DONE]":
            break
        try:
            chunk = json.loads(data)
            answer.text += chunk["choices"][0]["delta"].get("content") or ""
        except skipped:
            continue


serve(ask)
