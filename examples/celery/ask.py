"""Grant credits, queue two tasks and print their results."""

from tasks import answer, fare

if __name__ == "__main__":
    with fare:
        fare.grant("ada", 10, key="welcome")
        queued = [answer.delay("ada", prompt) for prompt in ("hello", "good night")]
        for task in queued:
            print(*task.get(timeout=60).values())
        print(f"{fare.balance('ada').free:f} left")
