"""What the documentation refers to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
FIDELITY = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:unit|crash|tools|acceptance|contract)/\w+\.py)::(\w+)`", FAULTS + FIDELITY)))


@pytest.mark.parametrize(("page", "heads", "least"), [(FAULTS, "| Fault", 41), (FIDELITY, "| Property", 40)])
def test_every_row_names_a_test(page, heads, least):
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(heads)]
    assert len(rows) >= least
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_a_row_names_exists_and_is_collected(file, name):
    assert Path(file).name.startswith("test_")
    assert name.startswith("test_")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_no_test_is_left_out():
    leaves_out = r"mark\.(skip|skipif|xfail)\b|pytest\.(skip|xfail|importorskip)\(|SkipTest\b|\bcollect_ignore"
    tests = set((ROOT / "tests").glob("**/*.py")) - {Path(__file__)}
    assert len(tests) > 40
    assert [str(test) for test in tests if re.search(leaves_out, test.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    assert [t for t in targets if t and not (page.parent / t).exists()] == []
