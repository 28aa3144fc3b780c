"""The site builds without a warning, its links lead somewhere, and it needs no network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import ROOT

#: Attributes that make a browser load what they name, by tag.
LOADED = {
    "img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "object": "data",
}  # fmt: skip
#: Links that load nothing.
NOT_LOADED = {"canonical", "next", "prev", "edit"}


class Page(HTMLParser):
    """Anchors of a page, what it links to, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.anchors |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        target = values.get(LOADED.get(tag, ""))
        if target and not NOT_LOADED & set(values.get("rel", "").split()):
            self.loaded.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; what `make docs` runs."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Return the pages of the site."""
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def outside(target: str) -> bool:
    return bool(urlsplit(target).scheme or urlsplit(target).netloc)


def broken(path: Path, target: str, site: Path, pages: dict[Path, Page]) -> bool:
    """Tell whether a link within the site leads nowhere."""
    parts = urlsplit(target)
    if parts.path.startswith("/"):  # only the page of what is not found; it may be anywhere
        file = site / unquote(parts.path).lstrip("/")
    else:
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if file.is_dir():
        file /= "index.html"
    if not file.is_file():
        return True
    anchor = unquote(parts.fragment)
    return bool(anchor) and file in pages and anchor not in pages[file].anchors


def test_every_page_is_there(pages: dict[Path, Page], site: Path) -> None:
    made = {path.relative_to(site).with_suffix("").as_posix() for path in pages}
    documents = (ROOT / "docs").rglob("*")
    named = {p.relative_to(ROOT / "docs") for p in documents if p.suffix in (".md", ".ipynb")}
    assert made == {path.with_suffix("").as_posix() for path in named} | {"404"}


def test_links_lead_somewhere(pages: dict[Path, Page], site: Path) -> None:
    wrong = [
        f"{path.relative_to(site)}: {target}"
        for path, page in pages.items()
        for target in (*page.links, *page.loaded)
        if not outside(target) and broken(path, target, site, pages)
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(len(page.links) for page in pages.values()) > 500


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page], site: Path) -> None:
    found = [f"{p.name}: {t}" for p, page in pages.items() for t in page.loaded if outside(t)]
    for style in site.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^)'\"]+)", style.read_text())
        found += [f"{style.name}: {url}" for url in urls]
    assert not found, "\n".join(found)


def test_the_reference_is_there(site: Path) -> None:
    api, cells = (site / "api.html").read_text(), (site / "cells.html").read_text()
    assert 'id="edgeflow.program.program.Program"' in api
    assert 'id="edgeflow.errors.EdgeFlowError"' in api
    assert ":math:" not in cells and ".. math::" not in cells
    assert cells.count("<math") > 20
