"""httpx, watching nothing but the transport and the status."""

import json

import httpx
from jobs import request_of, serve


def ask(job, answer):
    url = job["baseUrl"] + "/chat/completions"
    with httpx.Client(timeout=30) as client:
        if not job["stream"]:
            response = client.post(url, json=request_of(job)).raise_for_status()
            answer.text = response.json()["choices"][0]["message"]["content"]
            return
        with client.stream("POST", url, json=request_of(job)) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    for choice in json.loads(line[6:]).get("choices", []):
                        answer.text += choice["delta"].get("content") or ""


serve(ask)
