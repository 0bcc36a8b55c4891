"""What the docs take from the source is up to date, every field is documented once, and the site is built."""

import importlib.util
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from nas_lightning.config.fields import PARTS, documented, heuristics
from nas_lightning.config.schema import TrainConfig
from nas_lightning.config.search_schema import OBJECTIVES, SearchConfig
from tests.helpers.commands import CONF, ROOT

ABOUT = heuristics(CONF)
KINDS = (TrainConfig, SearchConfig, *OBJECTIVES.values())


def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date():
    assert [str(path.relative_to(ROOT)) for path in generate().stale()] == [], "run: python docs/generate.py"


def test_there_are_14_heuristics_each_with_a_line_a_picture_and_all_parts():
    assert [about.number for about in ABOUT] == list(range(1, 15))
    for about in ABOUT:
        assert about.line.endswith("."), about.factor
        assert 1 < len(about.picture.splitlines()) < 7, about.factor
        assert max(map(len, about.picture.splitlines())) < 62, about.factor
        assert set(PARTS) == set(about.parts), about.factor
        assert about.choices, about.factor


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_has_its_sentence(kind):
    for field in documented(kind):
        assert field.sentence.rstrip().endswith((".", ")")), f"{kind.__name__}.{field.path} has no sentence"


@pytest.mark.parametrize(("command", "kind"), [("train", TrainConfig), ("search", SearchConfig)])
def test_help_says_every_field_once(command, kind):
    done = subprocess.run([sys.executable, f"{command}.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    said = done.stdout.partition("== Fields ==")[2]
    for field in documented(kind):
        assert len(re.findall(rf"^{re.escape(field.path)}( \[.*\])?$", said, re.MULTILINE)) == 1, field.path
        assert field.sentence.split()[0] in said
    if command == "train":
        assert "sampling (method, paths_per_step" in done.stdout
        assert "heuristics/sampling: default, fairnas" in done.stdout


def test_the_reference_page_says_every_field_once():
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    train, _, search = page.partition("## search.py")
    for field in documented(TrainConfig):
        assert train.count(f"| `{field.path}` |") == 1
    for field in documented(SearchConfig):
        assert (train + search).count(f"| `{field.path}` |") >= 1


def links(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [m for m in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text) for m in m if m]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for link in links(page):
        if not link.startswith(("http", "#", "mailto:")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="uv sync --group docs")
    pytest.importorskip("material", reason="uv sync --group docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "HEURISTICS" / "index.html").is_file()


def test_the_packaged_configuration_is_the_one_that_is_read():
    assert Path(str(files("conf"))).resolve() == CONF.resolve()
