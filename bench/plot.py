"""The results as a picture: a panel a case, a bar a variant, a dot a round."""

from collections.abc import Sequence
from pathlib import Path

from bench.cases import Variant
from bench.results import CaseResult

COLOURS = {
    Variant.PLAIN: "#9a9a9a",
    Variant.UNPROVEN: "#2b7bba",
    Variant.PROVEN: "#1b9e77",
    Variant.APART: "#9a9a9a",
    Variant.TOGETHER: "#1b9e77",
}


def draw(results: Sequence[CaseResult], path: Path) -> None:
    """Draw wall times: medians as bars, every round as a dot. The ending of the path says the format."""
    import matplotlib as mpl  # noqa: PLC0415 (an optional dependency)

    mpl.use("agg")
    mpl.rcParams.update({"svg.hashsalt": "os-migrate", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    columns = min(4, len(results))
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 2.9 * rows), squeeze=False)
    for axis in axes.flat[len(results) :]:
        axis.set_axis_off()
    for result, axis in zip(results, axes.flat, strict=False):
        for place, variant in enumerate(result.case.variants):
            wall_s = result.median(variant).wall_s
            axis.bar(place, wall_s, color=COLOURS[variant])
            rounds = [s.wall_s for s in result.samples if s.variant is variant]
            axis.plot([place] * len(rounds), rounds, ".", color="black", markersize=3)
            axis.annotate(f"{wall_s:.1f}", (place, 0), ha="center", va="bottom", color="white", fontsize=8)
        axis.set_xticks(range(len(result.case.variants)), result.case.variants, fontsize=7)
        axis.set_title(f"{', '.join(result.case.disks)}\n{result.case.link}", fontsize=8)
        axis.set_ylabel("seconds", fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
        axis.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
