"""Completion of commands and options in shells."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.processes import run_command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_the_script_knows_commands_and_options(shell: str) -> None:
    done = await run_command("completion", shell)

    assert (done.code, done.err) == (0, "")
    assert all(word in done.out for word in ("organizations", "distribution", "credit-limit"))


async def test_bash_completes_a_command(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = tmp_path / "completion.bash"
    script.write_text((await run_command("completion", "bash")).out)
    asked = f"""
source {script}
COMP_WORDS=(faregate organ); COMP_CWORD=1; COMP_LINE="faregate organ"; COMP_POINT=${{#COMP_LINE}}
$(complete -p faregate | sed -E 's/.*-F ([^ ]+).*/\\1/') faregate organ faregate
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([bash, "-c", asked], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["organizations"], done.stderr


async def test_it_is_installed_where_the_shell_looks(tmp_path: Path) -> None:
    done = await run_command("completion", "fish", "--install", HOME=str(tmp_path))

    (written,) = tmp_path.glob("**/faregate.fish")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"{written} is written; open a new shell\n"
