"""Rules of the source that no linter knows: first lines, where SQL stands, one name for one thing.

`python tests/house_rules.py` prints each violation and exits with 1 if there is one; `make check` runs it.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["doubled_classes", "first_line_problem", "holds_sql", "may_hold_sql", "names_like_ids", "violations"]

ROOT = Path(__file__).parents[1]
FIRST_LINE_WORDS = 12
PUZZLES = (
    "whoever",
    "let go of",
    "is told",
    "are told",
    "by itself",
    "a look",
    "a wish",
    "came of it",
    "nobody else's",
)
"""Words of the older docstrings that stood where the field has a plain one."""

SQL = re.compile(
    r"\b(select|insert into|update|delete from|merge into|lock table|truncate)\b[\s\S]*\bfaregate\.[a-z_]+"
    r"|\bfaregate\.[a-z_]+[\s\S]*\b(select|where|set)\b"
)
SHARED_NAMES = {"DeletedAnswer", "DeliveryAnswer", "ExportQuery", "FeatureUsage"}
"""Bodies of the HTTP contract: each belongs to one group of calls, and the document tells them apart.

`FeatureUsage` is public in the client and in the library: the client's lacks `started_at`, which the HTTP answer does not hold.
"""


def first_line_problem(text: str) -> str | None:
    """Return what is wrong with the first line of a module, or None."""
    line = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    words = len(re.findall(r"[^\s\u2013:;,.]+", line))
    puzzle = next((word for word in PUZZLES if word in line.lower()), None)
    if not line:
        return "has no docstring; say what it is, in a noun phrase"
    if words > FIRST_LINE_WORDS:
        return f"begins with {words} words, at most {FIRST_LINE_WORDS}: {line}"
    return f"says {puzzle!r}; use a plain word: {line}" if puzzle else None


def holds_sql(text: str) -> bool:
    """Tell whether a module holds a statement about our tables, docstrings aside."""
    tree = ast.parse(text)
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in notes]
    return any(SQL.search(_text(node)) for node in found)


def may_hold_sql(path: Path) -> bool:
    """SQL stands in repositories, in the `sql` of a package, with personal data, in proofs, migrations and benchmarks."""
    if path.name in {"repository.py", "sql.py"} or path.stem.endswith(("_repository", "_sql", "personal_data")):
        return True
    return bool({"proof", "migrations", "benchmarks"} & set(path.parts))


def names_like_ids(text: str) -> list[str]:
    """Return the names that a test expects nowhere in a text although a random id may hold them by chance, as "ada" does."""
    searches = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Compare) and isinstance(n.ops[0], ast.NotIn)]
    sought = [n.left.value for n in searches if isinstance(n.left, ast.Constant) and not _lists(n.comparators[0])]
    names = [each.decode() if isinstance(each, bytes) else str(each) for each in sought]
    return [name for name in names if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{2,6}", name)]


def doubled_classes(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the public classes that several modules define, with the modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for module, text in texts.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    return {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED_NAMES}


def violations(paths: Iterable[Path]) -> Iterator[str]:
    """Yield each violation in `paths` as one line."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    for name, text in texts.items():
        problem = first_line_problem(text)
        if problem is not None:
            yield f"{name}: {problem}"
        if holds_sql(text) and not may_hold_sql(Path(name)):
            yield f"{name}: holds SQL; move it to the repository or to the `sql` of its package"
    for name, found in sorted(doubled_classes(texts).items()):
        yield f"{name} is defined in {' and '.join(found)}; one name is one thing"


def _lists(node: ast.expr) -> bool:
    return isinstance(node, ast.Set | ast.Tuple | ast.List | ast.Dict)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return " ".join(part for part in parts if isinstance(part, str))


def main() -> int:
    """Check the libraries, the applications, the benchmarks and the tests."""
    sources = [path for group in ("libs", "apps", "benchmarks") for path in sorted((ROOT / group).rglob("*.py"))]
    found = list(violations(path for path in sources if "versions" not in path.parts))
    for path in sorted((ROOT / "tests").rglob("*.py")):
        names = names_like_ids(path.read_text())
        found += [f"{path.relative_to(ROOT)}: an id may hold {name!r}; ask support.mentions" for name in names]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
