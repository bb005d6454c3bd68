"""A task that is charged: `celery -A tasks worker`."""

import os
from pathlib import Path

from celery import Celery, Task
from celery.signals import worker_process_shutdown

from faregate.host import SyncFaregate

FEATURES = {"ai_chat_v1": {"strategy": "token_priced", "min_credits": 2}}

folder = Path(os.environ.get("STUDIO_DIR", "studio-queue"))  # in place of a broker
(folder / "messages").mkdir(parents=True, exist_ok=True)
app = Celery("studio", broker="filesystem://", backend=f"file://{folder.absolute()}")
app.conf.broker_transport_options = {
    "data_folder_in": folder / "messages",
    "data_folder_out": folder / "messages",
    "control_folder": folder / "control",
}

fare = SyncFaregate(features=FEATURES)  # opens in each worker process, at its first call


@worker_process_shutdown.connect
def close(**_: object) -> None:
    """Send the settlements that wait when a worker process ends."""
    fare.close()


@app.task(bind=True)
def answer(task: Task, user: str, prompt: str) -> dict[str, str]:
    """Ask a model. Credits are held while it runs.

    The usage key is the task's id with the number of its retries: a message that is delivered again continues the hold of a worker
    that died, and is refused once the use is settled; a retry after a failure, which has voided its hold, is a use of its own.
    """
    with fare.use("ai_chat_v1", user, key=f"{task.request.id}:{task.request.retries}") as use:
        reply = call_model(prompt)
        use.observe(reply)
    return {"answer": prompt.upper(), "credits": f"{use.result.charged:f}"}


def call_model(prompt: str) -> dict[str, object]:
    """A stand-in for the SDK of a model provider, whose replies look like this."""
    usage = {"prompt_tokens": len(prompt) * 200, "completion_tokens": 100}
    return {"object": "chat.completion", "model": "gpt-4o", "usage": usage}
