"""LiteLLM, imported once, which takes eight seconds; each line of input is a program that a fork of this process runs.

A line is `{"run": "proxy", "arguments": […]}` or `{"run": "path.py"}` with `cwd`, `env` and `output`; the answer is the pid.
"""

import gc
import json
import os
import runpy
import signal
import sys
from typing import Any

import litellm.proxy.proxy_cli
import litellm.proxy.proxy_server


def run(order: dict[str, Any]) -> None:
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if order["run"] == "proxy":
        sys.argv = ["litellm", *order["arguments"]]
        litellm.proxy.proxy_cli.run_server()
    else:
        runpy.run_path(order["run"], run_name="__main__")


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel removes ended forks
sys.path.insert(0, ".")
gc.freeze()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(json.loads(line))
        sys.exit()
    print(child, flush=True)
