"""Charge a user from a script; run it as often as you like, each key counts once."""

from faregate.host import SyncFaregate

with SyncFaregate(features={"report": {"strategy": "fixed", "parameters": {"credits": 2}}}) as fare:
    fare.grant("ada", 20, key="welcome")
    used = fare.charge("report", "ada", key="report-2026-11")
    print(f"{used.credits_charged.normalize()} credits charged, {fare.balance('ada').free.normalize()} left")
