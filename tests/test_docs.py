"""The documentation holds together: links lead somewhere, the site has every page, the reference
every promised name, the cards all weights that ship."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import posecast
from posecast import pretrained
from posecast.pretrained import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def text_of(page: Path) -> str:
    """With what it includes, without what stands in fenced blocks."""
    text = page.read_text(encoding="utf-8")
    (cards,) = SITE["markdown_extensions"]["pymdownx"]["snippets"]["base_path"]
    for name in re.findall(r'^--8<-- "(.+)"$', text, re.MULTILINE):
        text = text.replace(f'--8<-- "{name}"', (ROOT / cards / name).read_text(encoding="utf-8"))
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[str]:
    """Links to files and headings, not to other hosts."""
    found = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text_of(page))
    return [link for link in found if not re.match(r"https?://|mailto:", link)]


def headings_of(page: Path) -> set[str]:
    """Anchors of the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles]
    return {re.sub(r"[\s-]+", "-", title) for title in plain}


def pages_of(nav: Any) -> Iterator[str]:
    """Files of a navigation of any depth."""
    for entry in nav:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from pages_of(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{page.name}: no file at {link}"
        if heading:
            assert heading in headings_of(target), f"{page.name}: no heading {link}"
        if page.parent == DOCS:
            assert target.parent == DOCS, f"{page.name}: {link} is not part of the site"


def test_links_are_found() -> None:
    assert len([link for page in PAGES for link in links_of(page)]) > 30
    assert "goals" in headings_of(DOCS / "performance.md")


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(pages_of(SITE["nav"])) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_reference_has_every_promised_name() -> None:
    named = re.findall(r"^::: posecast\.(\S+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    homes = {f"{home}.{name}" for name, home in posecast._HOMES.items()}
    assert sorted(named) == sorted(homes)


def test_every_shipped_card_is_shown() -> None:
    titles = headings_of(DOCS / "cards.md")
    assert set(SHIPPED) <= titles


def test_the_site_fetches_nothing_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css"} & SITE.keys()


def test_the_size_of_what_ships_is_said() -> None:
    weights = Path(pretrained.__file__).parent.glob("*.safetensors")
    size = sum(path.stat().st_size for path in weights) / 1e6
    assert f"weights {size:.1f} MB before they are packed" in (DOCS / "models.md").read_text()
