"""requests, watching nothing but the transport and the status."""

import json

import requests
from jobs import request_of, serve


def ask(job, answer):
    with requests.post(job["baseUrl"] + "/chat/completions", json=request_of(job), stream=job["stream"], timeout=30) as response:
        response.raise_for_status()
        if not job["stream"]:
            answer.text = response.json()["choices"][0]["message"]["content"]
            return
        for line in response.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                for choice in json.loads(line[6:]).get("choices", []):
                    answer.text += choice["delta"].get("content") or ""


serve(ask)
