"""The official Python SDK."""

import time

import openai
from jobs import serve


def ask(job, answer):
    retries = {} if job["ownRetries"] else {"max_retries": 0}
    with openai.OpenAI(base_url=job["baseUrl"], api_key="sk-test", **retries) as client:
        if job.get("api") == "responses":
            for event in client.responses.create(model=job["model"], input=job["id"], stream=True):
                answer.text += event.delta if event.type == "response.output_text.delta" else ""
            return
        messages = [{"role": "user", "content": job["id"]}]
        if not job["stream"]:
            whole = client.chat.completions.create(model=job["model"], messages=messages)
            answer.text = whole.choices[0].message.content or ""
            return
        for chunk in client.chat.completions.create(model=job["model"], messages=messages, stream=True):
            answer.text += chunk.choices[0].delta.content or ""
            time.sleep(job.get("readMs", 0) / 1000)


serve(ask)
