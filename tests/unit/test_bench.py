"""The pure parts of the bench: what is measured, what comes out of it, and whether that is enough."""

import pytest

from bench.cases import CASES, Case, Link, Measure, Target, Variant
from bench.comparing import CopyDiffers, compare
from bench.disks import RECIPES, Disk, Format, Recipe
from bench.results import MIB, CaseResult, Sample, busy_rate
from bench.tables import markdown_of, text_of
from bench.trees import differences, tree_of

CASE = Case(
    "a case",
    ("ext4-2g",),
    Link.GIGABIT,
    (
        Target(Measure.WALL, Variant.UNPROVEN, 0.5),
        Target(Measure.CPU, Variant.UNPROVEN, 0.2),
        Target(Measure.WIRE_IN_USE, Variant.UNPROVEN, 1.0),
        Target(Measure.WIRE_MIB, Variant.UNPROVEN, 101.0),
        Target(Measure.LINK_SHARE, Variant.UNPROVEN, 0.9, at_least=True),
    ),
    (Variant.PLAIN, Variant.UNPROVEN),
)


def sample(variant, wall_s, *, share=0.5):
    return Sample(variant, wall_s, 1.0, 2.0, 100 * MIB, MIB, share)


def result(*samples):
    return CaseResult(CASE, 50 * MIB, samples)


def test_figures_are_medians_of_a_variants_own_rounds():
    shown = result(
        sample(Variant.PLAIN, 10.0),
        sample(Variant.UNPROVEN, 3.0, share=0.1),
        sample(Variant.PLAIN, 90.0),
        sample(Variant.UNPROVEN, 4.0, share=0.95),
        sample(Variant.PLAIN, 20.0),
        sample(Variant.UNPROVEN, 99.0, share=0.93),
    )
    assert shown.median(Variant.PLAIN).wall_s == 20.0
    assert shown.median(Variant.UNPROVEN).wall_s == 4.0
    assert shown.median(Variant.UNPROVEN).link_share == 0.93
    assert shown.median(Variant.UNPROVEN).rounds == 3


def test_each_target_is_compared_with_its_figure():
    shown = result(sample(Variant.PLAIN, 10.0), sample(Variant.UNPROVEN, 5.0, share=0.9))
    values = {v.target.measure: (v.value, v.is_met) for v in shown.verdicts()}
    assert values == {
        Measure.WALL: (0.5, True),
        Measure.CPU: (1.0, False),
        Measure.WIRE_IN_USE: (101 / 50, False),
        Measure.WIRE_MIB: (101.0, True),
        Measure.LINK_SHARE: (0.9, True),
    }


def test_text_names_what_was_missed():
    text = text_of(result(sample(Variant.PLAIN, 10.0), sample(Variant.UNPROVEN, 5.0)))
    assert "met    proof off: wall 0.5, wanted at most 0.5" in text
    assert "MISSED proof off: share of the link 0.5, wanted at least 0.9" in text


def test_table_for_the_documentation_has_a_row_for_each_variant():
    table = markdown_of([result(sample(Variant.PLAIN, 10.0), sample(Variant.UNPROVEN, 5.0))])
    *_, plain, ours = table.splitlines()
    assert plain == "| ext4-2g, 1 Gbit/s | plain | 10.0 | 1.000 | 3.0 | 1.000 | 101.0 (2.02 of what is in use) | 50% |"
    assert ours.startswith("|  | proof off | 5.0 | 0.500, met: at most 0.5 | 3.0 | 1.000, **missed**: at most 0.2 |")


def test_transfers_one_after_the_other_add_up():
    both = sample(Variant.APART, 2.0, share=0.9) + sample(Variant.APART, 3.0, share=0.8)
    assert (both.wall_s, both.cpu_s, both.wire_bytes, both.link_share) == (5.0, 6.0, 202 * MIB, 0.8)


def test_busy_rate_leaves_out_the_pauses_before_and_after():
    counts = [(0.0, 0), (5.0, 0), (6.0, 1000), (7.0, 2000), (9.0, 2000)]
    assert busy_rate(counts) == pytest.approx(1000)


def test_busy_rate_counts_the_pauses_between():
    counts = [(0.0, 0), (1.0, 1000), (3.0, 1000), (4.0, 2000)]
    assert busy_rate(counts) == pytest.approx(500, rel=0.02)


def test_busy_rate_of_an_idle_link_is_nothing():
    assert busy_rate([(0.0, 7), (1.0, 7)]) == 0.0


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case_has_disks_that_can_be_made_and_targets_for_its_own_variants(case):
    assert all(disk in RECIPES for disk in case.disks)
    assert {target.variant for target in case.targets} <= set(case.variants)
    shares = [t for t in case.targets if t.measure is Measure.LINK_SHARE]
    assert not shares or case.link.bits_per_s is not None


def test_proof_is_allowed_to_cost_time():
    for case in CASES.values():
        wall = {t.variant: t.limit for t in case.targets if t.measure is Measure.WALL}
        if Variant.PROVEN in wall:
            assert wall[Variant.UNPROVEN] < wall[Variant.PROVEN] <= 1.0


def test_trees_differ_in_bytes_modes_and_names(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("same")
        (tmp_path / name / "bytes").write_text(name[:3])
        (tmp_path / name / "mode").write_text("mode")
        (tmp_path / name / f"only in {name}").symlink_to("same")
    (tmp_path / "other" / "mode").chmod(0o600)
    one, other = tree_of(tmp_path / "one"), tree_of(tmp_path / "other")
    for facts in (one, other):
        for path in facts:
            facts[path][3] = 0  # they were not written at the same time
    assert differences(one, other) == ["bytes", "mode", "only in one", "only in other"]
    assert differences(one, one) == []


def sparse(path, size, **data):
    """Write a file that is a hole but for some bytes: at1234=b"...".."""
    with path.open("wb") as file:
        file.truncate(size)
        for at, said in data.items():
            file.seek(int(at.removeprefix("at")))
            file.write(said)
    return path


@pytest.fixture
def zeroes(tmp_path):
    recipe = Recipe("blank", 64, Format.ZERO)
    return Disk(recipe, sparse(tmp_path / "disk", 64 * MIB), 0, 0, 0, {})


def test_copy_of_zeroes_may_be_written_or_a_hole(zeroes, tmp_path):
    compare(zeroes, sparse(tmp_path / "copy", 64 * MIB, at5000=bytes(9000)), tmp_path)


@pytest.mark.parametrize("at", [0, 5 * MIB + 1, 64 * MIB - 1])
def test_a_wrong_byte_is_found_also_where_the_source_is_a_hole(zeroes, tmp_path, at):
    copy = sparse(tmp_path / "copy", 64 * MIB, **{f"at{at}": b"!"})
    with pytest.raises(CopyDiffers, match="differs between"):
        compare(zeroes, copy, tmp_path)


def test_a_copy_that_ends_early_is_found(zeroes, tmp_path):
    with pytest.raises(CopyDiffers, match="too small"):
        compare(zeroes, sparse(tmp_path / "copy", 63 * MIB), tmp_path)
