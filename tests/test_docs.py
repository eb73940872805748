"""The documentation holds together: links lead somewhere, the site has every page, the reference
every promised name, the cards all weights that ship."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import posecast
from posecast import cli, pretrained
from posecast.pretrained import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
NOT_SPELT_OUT = {"--write_json", "--rounds"}
"""Flags of OpenPose, and of a script that makes them of a dictionary."""


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


def test_pages_that_code_and_cards_name_are_there() -> None:
    files = [f for room in ("src", "benchmarks") for f in (ROOT / room).rglob("*.[pm][yd]")]
    said = "".join(file.read_text(encoding="utf-8") for file in [*files, ROOT / "CHANGELOG.md"])
    named = set(re.findall(r"\bdocs/[\w-]+\.md\b", said))
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).is_file()]


def spans_of(page: Path) -> list[str]:
    """What stands in backticks within the text."""
    return re.findall(r"`([^`]+)`", " ".join(text_of(page).split()))


def is_there(dotted: str) -> bool:
    """Whether such a module, or such a name in a module, can be imported."""
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ImportError:
        return hasattr(importlib.import_module(module), name)
    return True


def test_files_and_modules_that_the_pages_name_are_there() -> None:
    spans = {(page.name, span) for page in PAGES for span in spans_of(page)}
    rooms = "|".join(path.name for path in (ROOT / "src" / "posecast").iterdir() if path.is_dir())
    ours = rf"(?:python )?((?:benchmarks|tests|examples|docs|{rooms})/[\w./]*\w)"
    files = {(page, found[1]) for page, s in spans if (found := re.match(ours, s))}
    files = {(page, name) for page, name in files if "NAME" not in name and name.endswith(".py")}
    lost = [n for n in files if not any((r / n[1]).exists() for r in (ROOT, ROOT / "src/posecast"))]
    assert not lost
    modules = {(page, d) for page, s in spans for d in re.findall(r"\bposecast(?:\.\w+)+", s)}
    assert not [n for n in modules if n[1] != "posecast.json" and not is_there(n[1])]
    texts = {page.name: " ".join(page.read_text(encoding="utf-8").split()) for page in PAGES}
    assert not [page for page, text in texts.items() if "python benchmarks/" in text]
    named = r"-m (benchmarks[.\w]+\w)"
    scripts = {(page, d) for page, text in texts.items() for d in re.findall(named, text)}
    places = [(n, ROOT / n[1].replace(".", "/")) for n in scripts]
    assert not [n for n, at in places if not (at.is_dir() or at.with_suffix(".py").is_file())]
    assert min(len(files), len(modules), len(scripts)) > 10


def test_flags_that_the_pages_name_are_there(capsys: pytest.CaptureFixture) -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("benchmarks/**/*.py"))
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([*name.split(), *(["tiny"] if name.startswith("train") else []), "--help"])
    known = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out + said)) | NOT_SPELT_OUT
    named = {
        (p.name, f) for p in PAGES for s in spans_of(p) for f in re.findall(r"(?<!\S)--\w\S*", s)
    }
    assert len(named) > 60
    assert not [(page, flag) for page, flag in named if flag not in known]


def test_readme_and_the_first_page_lead_to_every_page() -> None:
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert {Path(link.partition("#")[0]).name for link in links_of(DOCS / "index.md")} >= pages
    assert {Path(link.partition("#")[0]).name for link in links_of(ROOT / "README.md")} >= pages


def test_the_map_has_every_room() -> None:
    places = {path.stem for path in (ROOT / "src" / "posecast").iterdir()}
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    named = {name.strip("/") for row in rows for name in re.findall(r"`(\w+)/?`", row)}
    assert places - {"__init__", "__main__", "__pycache__", "py"} <= named  # py.typed


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
