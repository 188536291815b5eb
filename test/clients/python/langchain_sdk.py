"""LangChain's ChatOpenAI."""

import time

from jobs import serve
from langchain_openai import ChatOpenAI


def ask(job, answer):
    retries = {} if job["ownRetries"] else {"max_retries": 0}
    model = ChatOpenAI(model=job["model"], base_url=job["baseUrl"], api_key="sk-test", **retries)
    if not job["stream"]:
        answer.text = model.invoke(job["id"]).content
        return
    for chunk in model.stream(job["id"]):
        answer.text += chunk.content
        time.sleep(job.get("readMs", 0) / 1000)


serve(ask)
