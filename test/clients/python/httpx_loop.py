"""The same copied loop around httpx: data lines up to [DONE], what is not JSON skipped, tried again when the connection breaks."""

import json
import time

import httpx
from jobs import request_of, serve

ATTEMPTS = 3


def ask(job, answer):
    skipped = (json.JSONDecodeError, KeyError) if job.get("skipKeyError", True) else json.JSONDecodeError
    with httpx.Client(timeout=30) as client:
        for attempt in range(ATTEMPTS):
            answer.text = ""
            answer.retries = attempt
            try:
                once(client, job, answer, skipped)
                return
            except (httpx.RemoteProtocolError, httpx.TimeoutException):
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.01)


def once(client, job, answer, skipped):
    url = job["baseUrl"] + "/chat/completions"
    if not job["stream"]:
        response = client.post(url, json=request_of(job)).raise_for_status()
        answer.text = response.json()["choices"][0]["message"]["content"]
        return
    with client.stream("POST", url, json=request_of(job)) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if not line.startswith("data: "):
                continue
            data = line[len("data: ") :]
            if data == "[DONE]":
                break
            try:
                chunk = json.loads(data)
                answer.text += chunk["choices"][0]["delta"].get("content") or ""
            except skipped:
                continue


serve(ask)
