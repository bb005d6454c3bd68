"""Mutation tests of the ledger.

Each mutant breaks one rule in a copy of the code, and a named test must fail.

`make mutants` runs them all; `python tests/mutants.py NAME …` only those whose name contains one of the words.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CREDIT = "libs/credit/src/faregate/credit"
MIGRATIONS = "libs/core/src/faregate/core/migrations/versions"
SCENARIOS = "tests/credit/test_scenarios.py"
CONTENTION = "tests/credit/test_contention.py"
PAYMENTS = "tests/credit/test_payment_orders.py"
PAYMENT_RULES = "tests/credit/test_payment_rules.py"
CHAIN = "tests/credit/test_chain.py"
VERIFY = "tests/credit/test_verify.py"
CLOSES = "tests/credit/test_closes.py"
CONSTRAINTS = "tests/credit/test_constraints.py"
FOUND = "tests/credit/test_found_by_machine.py"


@dataclass(frozen=True)
class Mutant:
    """One change, and the test (file, `-k` expression) that must fail with it."""

    name: str
    file: str
    text: str
    replacement: str
    killer: str
    only: str


MUTANTS = [
    Mutant(
        "locks in any order",
        f"{CREDIT}/storage/repository.py",
        "ids = sorted(set(wallet_ids))\n        return book_of(await self._database.rows(session, sql.LOCK_WALLETS",
        "ids = __import__('random').sample(sorted(set(wallet_ids)), len(set(wallet_ids)))\n"
        "        return book_of(await self._database.rows(session, sql.LOCK_WALLETS",
        CONTENTION,
        "bound and 10",
    ),
    Mutant(
        "no lock",
        f"{CREDIT}/storage/sql.py",
        "from faregate.wallet where wallet_id = wanted.id for no key update",
        "from faregate.wallet where wallet_id = wanted.id",
        CONTENTION,
        "bound and not 10",
    ),
    Mutant(
        "no guard before a hold",
        f"{CREDIT}/ledger/holds.py",
        "if request.amount > free:",
        "if request.amount > 2 * free:",
        SCENARIOS,
        "test_32 and pure",
    ),
    Mutant(
        "a hold of all that is free is refused",
        f"{CREDIT}/ledger/holds.py",
        "if request.amount > free:",
        "if request.amount >= free:",
        SCENARIOS,
        "not_stored and pure",
    ),
    Mutant(
        "no CHECK against overspending",
        f"{MIGRATIONS}/0029_payments.py",
        "credits + credit_limit + clawback_debt - debits - held - earmarked >= 0",
        "credits + credit_limit + clawback_debt - debits - held - earmarked >= -1000000000000",
        CONSTRAINTS,
        "never_overspent",
    ),
    Mutant(
        "history can be edited",
        f"{MIGRATIONS}/0002_append_only.py",
        "before update or delete or truncate",
        "before truncate",
        CONSTRAINTS,
        "append",
    ),
    Mutant(
        "no dedupe of settlements",
        f"{CREDIT}/ledger/settlement.py",
        "if charge is not None and charge.status is ChargeStatus.SETTLED:",
        "if charge is not None and charge.status is None:",
        SCENARIOS,
        "test_31 and pure",
    ),
    Mutant(
        "other usage under the same key passes as a replay",
        f"{CREDIT}/ledger/settlement.py",
        "if charge.meaning_hash not in {request.meaning_hash, *request.earlier_hashes}:",
        "if charge.meaning_hash is None:",
        SCENARIOS,
        "test_31 and pure",
    ),
    Mutant(
        "no dedupe of starts",
        f"{CREDIT}/ledger/holds.py",
        "    if known is not None:\n        return _replayed",
        "    if known is None and request is None:\n        return _replayed",
        SCENARIOS,
        "test_27 and pure",
    ),
    Mutant(
        "no dedupe of grants",
        f"{CREDIT}/ledger/grants.py",
        "if grant.key in named), None)",
        "if grant is None), None)",
        SCENARIOS,
        "test_45 and pure",
    ),
    Mutant(
        "a settlement goes below zero",
        f"{CREDIT}/ledger/settlement.py",
        "chargeable = min(amount, max(reserved.amount, wallet.free_for(charge.feature_key)))",
        "chargeable = amount",
        SCENARIOS,
        "test_4_ and pure",
    ),
    Mutant(
        "a closed hold stays held",
        f"{CREDIT}/ledger/book.py",
        "wallet.held -= charge.hold",
        "wallet.held -= 0",
        SCENARIOS,
        "test_22 and pure",
    ),
    Mutant(
        "priority does not count",
        f"{CREDIT}/ledger/burn_down.py",
        "        grant.priority,\n",
        "        0,\n",
        SCENARIOS,
        "test_14 and pure",
    ),
    Mutant(
        "expiry does not count",
        f"{CREDIT}/ledger/burn_down.py",
        "        grant.expires_at or _NEVER,\n",
        "        _NEVER,\n",
        SCENARIOS,
        "test_2_ and pure",
    ),
    Mutant(
        "paid grants before free ones",
        f"{CREDIT}/ledger/accounts.py",
        "return 1 if source in _PAID else 0",
        "return 0 if source in _PAID else 1",
        SCENARIOS,
        "test_41 and pure",
    ),
    Mutant(
        "expiry takes what is held",
        f"{CREDIT}/ledger/time_effects.py",
        "amount = unheld if grant.features is not None else min(unheld, _unheld_general(wallet))",
        "amount = unheld",
        SCENARIOS,
        "protects_expires and pure",
    ),
    Mutant(
        "a late settlement is not flagged",
        f"{CREDIT}/ledger/settlement.py",
        "flags |= Flag.LATE",
        "flags |= Flag(0)",
        SCENARIOS,
        "test_26 and pure",
    ),
    Mutant(
        "a refunded grant's expiry is forgotten",
        f"{CREDIT}/ledger/book.py",
        "if change > 0 and grant.expires_at is not None:",
        "if change > 0 and grant.expires_at is None:",
        FOUND,
        "lapses_on_time",
    ),
    Mutant(
        "a grant cannot be sent again after its expiry",
        f"{CREDIT}/ledger/grants.py",
        "    known = _made_before(wallet, spec.key)",
        "    _check(spec, book.now)\n    known = _made_before(wallet, spec.key)",
        FOUND,
        "sent_again",
    ),
    Mutant(
        "a hold reserves in the order of rows",
        f"{CREDIT}/ledger/holds.py",
        "for grant in burn_order(wallet.grants.values(), now=book.now) if wallet.earmarked else ():",
        "for grant in wallet.grants.values() if wallet.earmarked else ():",
        FOUND,
        "order_not",
    ),
    Mutant(
        "hashes do not chain",
        f"{CREDIT}/ledger/chain.py",
        "sha256(previous + numbers",
        "sha256(numbers",
        CHAIN,
        "link_the_same",
    ),
    Mutant(
        "texts are hashed without their lengths",
        f"{CREDIT}/ledger/chain.py",
        "return _LENGTH.pack(len(data)) + data",
        "return data",
        CHAIN,
        "neighbour",
    ),
    Mutant(
        "a refund adds to those before it",
        f"{CREDIT}/payments/rules.py",
        "refunded=max(one.refunded, other.refunded)",
        "refunded=one.refunded + other.refunded",
        PAYMENT_RULES,
        "cumulative or join",
    ),
    Mutant(
        "a claw-back forgets the steps before it",
        f"{CREDIT}/ledger/clawbacks.py",
        "filling.amount - position.voided) - position.total",
        "filling.amount - position.voided)",
        PAYMENTS,
        "any_order",
    ),
    Mutant(
        "a hold loses to a claw-back",
        f"{CREDIT}/ledger/settlement.py",
        "max(reserved.amount, wallet.free_for(charge.feature_key))",
        "max(0, wallet.free_for(charge.feature_key))",
        PAYMENTS,
        "hold_had_set_aside",
    ),
    Mutant(
        "verify trusts the hashes",
        f"{CREDIT}/proof/chain.py",
        '"t.hash <> t.derived_hash"',
        '"t.hash is null"',
        VERIFY,
        "tamperings",
    ),
    Mutant(
        "verify trusts the holds",
        f"{CREDIT}/proof/wallets.py",
        'Check("held", "d.held <> d.all_held"',
        'Check("held", "d.held is null"',
        VERIFY,
        "tamperings",
    ),
    Mutant(
        "credits are rounded down",
        "libs/wire/src/faregate/wire/money.py",
        "quanta += 1",
        "quanta += 0",
        "tests/usage/test_pricing.py",
        "rounding",
    ),
    Mutant(
        "the last moment of a month belongs to it twice",
        f"{CREDIT}/closing/sql.py",
        "where t.effective_at < cast(:until as timestamptz)",
        "where t.effective_at <= cast(:until as timestamptz)",
        CLOSES,
        "two_months",
    ),
    Mutant(
        "a close begins with the last transfer of the one before",
        f"{CREDIT}/closing/sql.py",
        "on t.wallet_id = h.wallet_id and t.seq > h.first_seq",
        "on t.wallet_id = h.wallet_id and t.seq >= h.first_seq",
        CLOSES,
        "two_months",
    ),
    Mutant(
        "a refund leaves the revenue",
        f"{CREDIT}/closing/movements.py",
        "Movement.REFUNDED: Fate.USED,",
        "Movement.REFUNDED: Fate.FORFEITED,",
        CLOSES,
        "have_their_columns",
    ),
    Mutant(
        "credits that repay the limit are not earned",
        f"{CREDIT}/closing/sql.py",
        "k.used + coalesce(t.used, 0) + coalesce(p.repaid, 0) as used",
        "k.used + coalesce(t.used, 0) as used",
        CLOSES,
        "repay_the_limit",
    ),
    Mutant(
        "months are closed in any order",
        f"{CREDIT}/closing/service.py",
        "if month > following:",
        "if month > following.next.next.next.next.next:",
        CLOSES,
        "in_order",
    ),
    Mutant(
        "shares of a price are rounded down",
        f"{CREDIT}/closing/recognition.py",
        "return (2 * cents * part + whole) // (2 * whole)",
        "return cents * part // whole",
        "tests/credit/test_close_rules.py",
        "division",
    ),
]


def run(mutants: list[Mutant]) -> int:
    """Check that each test passes on the unchanged code and fails on its mutant; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="faregate-mutants-") as directory:
        copy = Path(directory)
        for part in ("libs", "apps"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        survivors = [mutant.name for mutant in mutants if not _killed(mutant, copy)]
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")
    for name in survivors:
        print(f"SURVIVED: {name}")
    return 1 if survivors else 0


_SOUND: dict[tuple[str, str], int] = {}
"""Exit code of each test on the unchanged code: it must pass there, otherwise its failure proves nothing."""


def _killed(mutant: Mutant, copy: Path) -> bool:
    file = copy / mutant.file
    before = file.read_text()
    if before.count(mutant.text) != 1:
        print(
            f"  {mutant.name}: the text occurs {before.count(mutant.text)} times in {mutant.file}; it must occur once"
        )
        return False
    began = time.monotonic()
    killer = (mutant.killer, mutant.only)
    sound = _SOUND[killer] = _SOUND[killer] if killer in _SOUND else _test(mutant, copy)
    file.write_text(before.replace(mutant.text, mutant.replacement))
    try:
        broken = _test(mutant, copy)
    finally:
        file.write_text(before)
    killed = (sound, broken) == (0, 1)
    verdict = "killed" if killed else f"NOT KILLED (exit {sound} on the sound code, {broken} on the mutant)"
    print(f"  {mutant.name:52} {verdict}, {time.monotonic() - began:.1f} s", flush=True)
    return killed


def _test(mutant: Mutant, copy: Path) -> int:
    paths = sorted(str(path) for part in ("libs", "apps") for path in (copy / part).glob("*/src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.killer, "-k", mutant.only]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="run only mutants whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="only list the mutants and the tests that must fail")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if not given.names or any(name in m.name for name in given.names)]
    if given.list:
        for mutant in chosen:
            print(f"{mutant.name:52} {mutant.killer} -k '{mutant.only}'")
        return 0
    return run(chosen)


if __name__ == "__main__":
    sys.exit(main())
