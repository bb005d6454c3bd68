"""Files of the dashboard: texts in one catalogue, vendored files as published, nothing from elsewhere."""

import re
from hashlib import sha256
from importlib.resources import files

from faregate.gateway.dashboard.pages import asset, asset_names

PLACE = files("faregate.gateway.dashboard").joinpath("assets")
VENDORED = {
    "uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""SHA-256 of files of uPlot 1.6.32, as npm publishes them (dist/uPlot.iife.min.js, dist/uPlot.min.css)."""

OWN = [name for name in asset_names() if name.endswith((".js", ".html", ".css")) and name not in VENDORED]


CATALOGUES = [name for name in OWN if name.endswith(".en.js")]
"""The texts of all pages, and those of pages that bring their own."""


def read(name: str) -> str:
    return PLACE.joinpath(name).read_text()


def test_vendored_files_are_those_that_were_published() -> None:
    assert {name: sha256(PLACE.joinpath(name).read_bytes()).hexdigest() for name in VENDORED} == VENDORED
    assert "uPlot (v1.6.32)" in read("uplot.js")
    assert "The MIT License" in read("uplot.license.txt")


def test_every_text_is_in_the_catalogue_and_every_text_of_the_catalogue_is_used() -> None:
    catalogue = set(re.findall(r'(?:^|[ ,{])(?:"([\w-]+)"|(\w+)): "', "".join(map(read, CATALOGUES)), re.MULTILINE))
    known = {quoted or plain for quoted, plain in catalogue}
    code = "\n".join(read(name) for name in OWN if name not in CATALOGUES)
    used = set(re.findall(r'\bt\("([\w-]+)"', code))
    beginnings = tuple(set(re.findall(r"\bt\(`([a-z]+_)\$\{", code)) | set(re.findall(r"t\(`\$\{\w+\}(_\w+)`", code)))

    assert used - known == set()
    unused = {name for name in known - used if not name.startswith(beginnings) and f'"{name}"' not in code}
    assert {name for name in unused if not name.endswith(("_letters", "_note"))} == set()


def test_no_file_names_another_server_and_no_page_holds_script_or_style() -> None:
    for name in OWN:
        addresses = re.findall(r"https?://[\w.-]+", read(name))
        assert addresses == [], name
    for name in [name for name in OWN if name.endswith(".html")]:
        assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=", read(name)) == [], name
    for name in [name for name in OWN if name.endswith(".js")]:
        assert re.findall(r"\beval\(|new Function|innerHTML|insertAdjacentHTML", read(name)) == [], name


def test_scripts_are_sent_without_comments_and_indentation_and_otherwise_as_they_are() -> None:
    """A template over several lines would lose its indentation, so that there is none."""
    for name in [name for name in OWN if name.endswith(".js")]:
        lines = read(name).splitlines()
        assert [line for line in lines if line.count("`") % 2] == [], name
        kept = [line.strip(" ") for line in lines if not line.lstrip().startswith("//")]
        assert [line.strip(" ") for line in asset(name).decode().splitlines()] == kept, name
    for name in VENDORED:
        assert asset(name) == PLACE.joinpath(name).read_bytes()
