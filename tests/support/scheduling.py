"""Schedule of the tests for pytest-xdist: by file, files with one costly fixture together."""

from xdist.scheduler import LoadFileScheduling  # pyright: ignore[reportMissingTypeStubs]  it is typed, but has no marker

__all__ = ["FixtureScheduling"]

_GROUPS = {
    "dashboard": ("tests/dashboard/",),
    "rabbitmq of processes": (
        "tests/cli/test_bench_process.py",
        "tests/cli/test_separate_processes.py",
        "tests/tenancy/test_worker.py",
        "tests/test_run_with_rabbitmq.py",
        "tests/worker/test_dead_letters.py",
        "tests/worker/test_howtos.py",
        "tests/worker/test_outage.py",
        "tests/worker/test_probes.py",
        "tests/worker/test_rabbitmq.py",
        "tests/worker/test_usage_events.py",
    ),
    "rabbitmq": (
        "tests/brief/test_typescript_utilities.py",
        "tests/client/test_broker.py",
        "tests/core/test_rabbitmq",
        "tests/feature_log/test_canaries_everywhere.py",
        "tests/typescript/test_client.py",
    ),
}
"""Beginnings of the paths of files that one process runs: each process that runs one makes the fixture, for 5 to 11 s."""


class FixtureScheduling(LoadFileScheduling):
    """Gives each process the tests of a file, or of a group of files, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return next(
            (group for group, files in _GROUPS.items() if nodeid.startswith(files)), super()._split_scope(nodeid)
        )
