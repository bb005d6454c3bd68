"""Deliberate defects of `make mutants`: each still has the line that it changes."""

from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_line_that_a_mutant_changes_exists(mutant: Mutant) -> None:
    """A mutant without its line would not run, and nothing would be proven by it."""
    assert mutant.text in (ROOT / mutant.file).read_text()
    assert (ROOT / mutant.killer).exists()
