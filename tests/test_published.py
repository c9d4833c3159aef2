"""Published figures and the verdict on each."""

from __future__ import annotations

import csv
import functools
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from witness import table as stored_table

from mbanalyze import archs
from mbanalyze.archs import ARCHS
from mbanalyze.conventions.convention import Record
from mbanalyze.conventions.printed_figures import COMMON, NO_CLASSIFIER
from mbanalyze.literature import figure_counts, interpretations, verdicts
from mbanalyze.literature import paper_tables as paper_tables_module
from mbanalyze.literature.errata import errata
from mbanalyze.literature.figure_counts import count_by
from mbanalyze.literature.figures import Figure, entries
from mbanalyze.literature.interpretations import Scope
from mbanalyze.literature.paper_tables import paper_tables
from mbanalyze.literature.verdicts import CATEGORIES, PublishedError, Verdict, published
from mbanalyze.literature.view import network_name
from mbanalyze.ops.registry import cost

V1, V2, V3 = "arXiv:1704.04861", "arXiv:1801.04381", "arXiv:1905.02244"
SHUFFLE_V1, SHUFFLE_V2 = "arXiv:1707.01083", "arXiv:1807.11164"
SLIM = "tensorflow/models@0ba83cf0"


def found(tables: str, settings: str) -> list[Verdict]:
    """Return the verdicts on figures whose source begins with `tables`, in rows with these settings."""
    chosen = dict(setting.split("=", 1) for setting in settings.split())
    quantity = chosen.pop("quantity", "macs")
    scope = Scope(tables, quantity, chosen)
    return [verdict for verdict in published() if scope.covers(verdict.figure)]


# tables, settings of the rows, category, rule, text in the arithmetic
NOTABLE = [
    # with the classifier 4867.29 and 568.74; without 4866.27 and 567.72
    (f"{V1} Table 4", "printed=4866", "convention", "without the classifier", "4,866,269,184"),
    (f"{V1} Table 4", "printed=569", "exact", "rounded", "568,740,352"),
    (f"{V1} Table 7", "printed=290", "erratum", "contradicted by", "as counted (truncated), without the classifier (rounded)"),
    (f"{V1} Table 8", "printed=15300", "convention", "convolutions only, 3 significant digits", "15,346,630,656"),
    # 2 x 832,667,936 + 2 x 512 x 1000 x (15 x 15 - 13 x 13) = 1,722,679,872
    (f"{V1} Table 9", "printed=1700", "convention", "two FLOPs per multiply-accumulate", "1,722,679,872"),
    (f"{V1} Table 9", "printed=76", "unresolved", None, "as counted (truncated), without the classifier (rounded)"),
    # 1,331,592 less 2 x 5,472 of batch norm and 1000 biases
    (f"{V1} Table 9", "quantity=params printed=1.32", "convention", "weights only", "1,319,648"),
    (f"{V1} Table 10", "printed=569", "convention", "with 1000 classes", "567,839,232"),
    (f"{V1} Table 12", "printed=568", "convention", "without the classifier", "567,716,352"),
    (f"{V1} Table 12", "printed=48", "unresolved", None, "without the classifier (truncated)"),
    (f"{V1} Table 12", "printed=45", "unresolved", None, "40,774,272"),
    (f"{V1} Table 12", "printed=15", "unresolved", None, "13,314,048"),
    (f"{V1} Table 14", "printed=166", "erratum", "count with resolution=160", "165,628,800"),
    ("tensorflow/models@02c04f49", "alpha=0.75 resolution=128", "convention", "without the first", "104,116,224"),
    ("tensorflow/models@02c04f49", "printed=34", "erratum", "contradicted by neighbouring resolutions", "30,212,608"),
    ("tensorflow/models@02c04f49", "printed=150", "unresolved", None, "149,497,088"),
    ("tensorflow/models@02c04f49", "quantity=params printed=1.34", "convention", "1001 classes", "1,337,577"),
    (f"{V2} Table 4", "printed=575", "unresolved", None, "prints 569 M"),
    (f"{V2} Table 4", "printed=300", "convention", "truncated", "300,774,272"),
    (f"{V2} Table 4", "quantity=params printed=6.9", "unresolved", None, "6,108,776"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V2)", "alpha=0.35", "exact", "truncated", "is truncated to"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V2)", "quantity=params alpha=1.4", "convention",
     "without batch norm, 1001 classes", "6,062,633"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "printed=66", "erratum",
     "contradicted by neighbouring resolutions", "74 M at 256 px gives 56.7 M"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "quantity=params printed=2.9", "erratum",
     "count with head=1280", "2,946,568"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "printed=65", "unresolved", None, "52,288,448"),
    (f"{V3} Table 3, latest version", "printed=219", "unresolved", None, "prints 217 M"),
    (f"{V3} Table 3, latest version", "printed=56", "erratum", "contradicted by arXiv:1905.02244 Table 9, latest version", "57 M"),
    (f"{V3} Table 9, latest version", "quantity=params printed=5.4", "unresolved", None, "as counted (truncated)"),
    (f"{V3} Table 9, latest version", "printed=74", "erratum", "count with head=1280", "73,578,496"),
    (f"{V3} Table 9, earliest version", "printed=74", "exact", "rounded", "73,578,496"),
    (f"{V3} Table 9, earliest version", "printed=66", "erratum", "contradicted by neighbouring resolutions", "56,913,856"),
    (f"{V3} Table 9, latest version", "quantity=params printed=3.6", "erratum", "count with head=1280", "3,645,960"),
    (f"{SHUFFLE_V1} Table 1", "groups=8", "convention", "without the classifier", "136,829,952"),
    (f"{SHUFFLE_V1} Table 5", "variant=shufflenet_v1 alpha=1.5", "exact", "rounded", "292,443,552"),
    (f"{SHUFFLE_V1} Table 5", "printed=40", "unresolved", None, "width of the shallow network"),
    (f"{SHUFFLE_V1} Table 6", "printed=833", "exact", "rounded", "832,667,936"),
    ("megvii-model/ShuffleNet-Series@aa91feb7 ShuffleNetV1", "alpha=1.0 groups=3", "unresolved", None, "137,460,672"),
    (f"{SHUFFLE_V1} Table 2", "alpha=1.0", "unresolved", None, "one complexity for the whole row"),
    (f"{SHUFFLE_V2} Table 5", "alpha=0.5", "unresolved", None, "as counted (rounded up)"),
    ("arXiv:1512.00567", "variant=inception_v3", "unresolved", None, "5,713,216,096"),
    (f"{SHUFFLE_V2} Table 8", "printed=587", "unresolved", None, "582,195,824"),
    ("forresti/SqueezeNet", "printed=1.72", "convention", "two FLOPs", "1,722,679,872 is rounded to 1.72 G"),
    ("forresti/SqueezeNet", "printed=0.72", "unresolved", None, "775,495,040"),
    ("keras-team", "quantity=params variant=xception", "convention", "with moving", "22,910,480"),
    # a bias for each of ResNet-50's convolutions; no scale in Inception's batch norm
    ("keras-team", "quantity=params variant=resnet50", "convention", "a bias in every", "25,636,712"),
    ("keras-team", "quantity=params variant=inception_v3", "convention", "without scale", "23,851,784"),
    ("arXiv:1610.02357", "quantity=params variant=xception", "exact", "rounded", "22,855,952"),
    ("torchvision", "quantity=params variant=inception_v3", "convention", "auxiliary head", "27,161,264"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "settings", "category", "rule", "text"), NOTABLE)
def test_notable_figures(tables: str, settings: str, category: str, rule: str | None, text: str) -> None:
    """Each verdict follows from the arithmetic in the comments."""
    chosen = found(tables, settings)

    assert chosen
    for verdict in chosen:
        assert category == verdict.category
        assert verdict.rule is None if rule is None else rule in (verdict.rule or "")
        assert text in verdict.arithmetic


def test_every_figure_has_a_verdict() -> None:
    """Each figure has one record, with the documented columns and categories."""
    figures = [figure for entry in entries() for figure in entry.figures]
    records = published().records()

    assert len(figures) == len(records)
    assert {record["verdict"] for record in records} == set(CATEGORIES)
    for record in records:
        assert list(record) == [
            "family", "variant", "options", "figure", "printed", "unit", "computed", "verdict", "rule",
            "arithmetic", "source",
        ]  # fmt: skip
        assert record["unit"] in "KMG"
        assert record["figure"] in ("macs", "params")
        assert record["arithmetic"]
        float(record["printed"])


def line(verdict: Verdict) -> dict[str, str]:
    """Return a verdict as a row of the stored table."""
    entry = verdict.figure.entry
    return {
        "source": entry.source,
        "network": network_name(verdict),
        "printed": f"{verdict.figure.printed} {verdict.figure.unit} {verdict.figure.quantity}",
        "computed": "" if verdict.computed is None else str(verdict.computed),
        "verdict": verdict.category,
        "rule": verdict.rule or "",
    }


@functools.cache
def stored() -> list[dict[str, str]]:
    """Return the stored verdicts, in order."""
    return stored_table("verdicts.csv")


def test_no_verdict_changes_unnoticed() -> None:
    """The verdicts equal the stored table; a change to a verdict is a change to that table."""
    assert stored() == [line(verdict) for verdict in published()]


def test_an_exact_figure_is_the_rounded_count() -> None:
    """A figure is exact if and only if rounding, or truncation in a table that truncates, gives it."""
    for verdict in published():
        figure, count = verdict.figure, verdict.computed
        assert (count is None) == bool(figure.entry.undefined)
        if count is None:
            assert verdict.category == "unresolved"
            continue
        decimals = len(figure.printed.partition(".")[2])
        unit = 10 ** ({"M": 6, "G": 9}[figure.unit] - decimals)
        printed = int(figure.printed.replace(".", ""))
        expected = {"rounded": (2 * count + unit) // (2 * unit), "truncated": count // unit}
        rounding = "truncated" if interpretations.truncates(figure.table) else "rounded"

        assert (verdict.category == "exact") == (printed == expected[rounding]), figure
        assert verdict.category != "exact" or verdict.rule == rounding, figure


def test_exact_figures_of_a_table_are_rounded_alike() -> None:
    """No table has both rounded and truncated exact figures."""
    roundings: dict[tuple[str, str], set[str | None]] = {}
    for verdict in published():
        if verdict.category == "exact":
            roundings.setdefault(verdict.figure.table, set()).add(verdict.rule)

    assert roundings
    assert all(len(used) == 1 for used in roundings.values())


def test_a_convention_without_evidence_matches_its_whole_scope() -> None:
    """Every interpretation matches a figure; one that no source states matches all figures that it covers."""
    figures = [figure for entry in entries() for figure in entry.figures if entry.spec]
    for known in interpretations.interpretations():
        covered = [figure for figure in figures if known.scope.covers(figure)]
        matching = [
            figure for figure in covered if known.matches(figure, interpretations.rounding_of(figure))
        ]
        assert matching, known
        if not known.evidence:
            assert covered == matching, known


def test_every_erratum_is_proved() -> None:
    """Each row of errata.csv covers a figure whose verdict is erratum."""
    wrong = [verdict for verdict in published() if verdict.category == "erratum"]

    for erratum in errata():
        assert any(erratum.scope.covers(verdict.figure) for verdict in wrong), erratum


def test_rows_are_about_known_networks() -> None:
    """A row has a network in closed form, or a reason that it has none."""
    for entry in entries():
        assert (entry.spec is None) == bool(entry.undefined)
        assert entry.undefined or entry.variant in ARCHS


def test_accuracy_and_speed_are_kept() -> None:
    """Every row of ShuffleNet V2's Table 8 has top-1 accuracy and speeds on GPU and ARM."""
    rows = [entry for entry in entries() if entry.source == f"{SHUFFLE_V2} Table 8"]

    assert len(rows) == 25
    assert all(row.top1 and row.gpu_batches_per_s and row.arm_images_per_s for row in rows)
    assert [(e.top1, e.latency_ms, e.device) for e in entries() if e.source == f"{V2} Table 4"][-1] == (
        74.7,
        143.0,
        "Google Pixel 1, one large core, TF-Lite",
    )


def clear_caches() -> None:
    """Forget all counts and verdicts."""
    caches: list[Any] = [figure_counts._record, figure_counts._count, verdicts._verdict]
    for cached in [*caches, interpretations.truncates, interpretations.interpretation_of]:
        cached.cache_clear()


def test_a_changed_network_changes_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first layer of 48 instead of 32 channels changes the verdicts on figures of MobileNetV2."""
    before = {verdict.figure: verdict.category for verdict in published("mobilenet_v2")}
    clear_caches()
    try:
        monkeypatch.setattr(archs.mobilenet_v2, "STEM", 48)
        after = {verdict.figure: verdict.category for verdict in published("mobilenet_v2")}
    finally:
        monkeypatch.undo()
        clear_caches()

    changed = {figure.printed for figure in before if before[figure] != after.get(figure)}
    assert {"3.504872", "582", "0.301"} <= changed


def test_families_and_variants_can_be_selected() -> None:
    """A family contains the verdicts of its variants; an unknown name raises PublishedError with the known ones."""
    family = published("mobilenet")

    assert {verdict.figure.entry.variant for verdict in family} == {
        "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    }  # fmt: skip
    assert set(published("mobilenet_v2")) < set(family)
    with pytest.raises(PublishedError, match=r"no figure of 'lenet' is known: .*families are alexnet, "):
        published("lenet")


def test_paper_tables() -> None:
    """Printed and computed cells agree, except for those that the notes explain."""
    shares, layer, widest, stage = (table.records() for table in paper_tables())

    wrong = [row["layer"] for row in shares if row["printed macs %"] != row["macs %"]]
    assert wrong == ["Conv 3x3"]
    assert [row["printed params %"] for row in shares] == [row["params %"] for row in shares]
    # 94.86 + 3.06 + 1.19 + 0.18
    assert f"{sum(float(row['printed macs %']) for row in shares):.2f}" == "99.29"
    for row in layer:
        for name in ("macs", "params"):
            printed = row[f"printed M {name}"]
            assert printed == f"{row[name] / 1e6:.{len(printed.partition('.')[2])}f}"
    assert [row["MobileNetV2"].split("/")[0] for row in widest] == ["16", "24", "32", "96", "320"]
    assert [row["ShuffleNet 2x g=2"].split("/")[0] for row in widest][2:] == ["400", "800", "1600"]
    # 7 x 7 x 1024 x 2 bytes = 100,352
    assert widest[-1]["MobileNetV1"] == "1024/100"
    assert [row["macs"] for row in stage] == [250_907_520, 216_589_760, 34_317_760]


def test_prose_that_the_papers_got_wrong() -> None:
    """Figures in the text of the papers differ from the recomputed ones."""

    def macs(spec: Any) -> int:
        return sum(cost(op).macs or 0 for op in spec.ops())

    # MobileNetV1 section 4.4 prints 0.58 million for a body of 567.7 M and a classifier of 10 M: the unit is billion
    body = count_by(NO_CLASSIFIER["macs"], archs.MobileNetV1())
    assert f"{(body + 10_000_000) / 1e9:.2f}" == "0.58"
    # MobileNetV2 section 4 prints 19 bottlenecks; its Table 2 has 17
    assert sum(n for _, _, n, _ in archs.mobilenet_v2.BLOCKS) == 17
    # MobileNetV1 section 4.3 says 22 times less computation than SqueezeNet: by one unit it is 11 times
    squeezenet = macs(archs.SqueezeNet1_0(resolution=227))
    assert round(squeezenet / macs(archs.MobileNetV1(alpha=0.5, resolution=160))) == 11
    # MobileNetV2: "7 to 585 M": the smallest network of its grid has 11.9 M
    assert f"{macs(archs.MobileNetV2(alpha=0.35, resolution=96)) / 1e6:.1f}" == "11.9"


def test_formats_hold_the_same_figures() -> None:
    """JSON and CSV have a record for each figure; an unknown count is null or an empty cell."""
    chosen = published("shufflenet")
    objects = json.loads(chosen.to("json"))
    rows = list(csv.DictReader(io.StringIO(chosen.to("csv"))))

    assert len(chosen) == len(objects) == len(rows)
    for thing, row in zip(objects, rows, strict=True):
        assert ("" if thing["computed"] is None else str(thing["computed"])) == row["computed"]
    assert {"options": {"alpha": 2.0, "resolution": 224, "layout": "paper"}}.items() <= next(
        thing for thing in objects if thing["printed"] == "591"
    ).items()


def test_figures_round_half_up() -> None:
    """A half is rounded up, at the printed precision; truncation and significant digits are options."""
    figure = Figure(entries()[0], "macs", "0.3", "M")

    assert figure.matches(250_000)
    assert not figure.matches(249_999)
    assert figure.matches(399_999, "truncated")
    assert figure.matches(200_001, "rounded up")
    assert replace(figure, printed="1700").matches(1_650_000_000, digits=2)
    assert not replace(figure, printed="1700").matches(1_649_999_999, digits=2)


def test_a_family_counts_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG needs the networks of its own tables, and no small table of another network; progress ends at 1."""
    monkeypatch.setattr(paper_tables_module, "_layer_types", lambda: pytest.fail("no table of VGG"))
    clear_caches()
    fractions: list[float] = []
    found = published("vgg", progress=fractions.append)
    found.to("table")
    few = figure_counts._record.cache_info().currsize
    published()
    all_networks = figure_counts._record.cache_info().currsize

    assert 0 < 4 * few < all_networks
    assert fractions == [(i + 1) / len(found) for i in range(len(found))]


def params(spec: Any) -> list[int]:
    """Return the params of a network by each convention, without their memo."""
    record = Record(tuple(spec.ops()))
    return [convention.count(record) for convention in COMMON["params"]]


def test_params_are_equal_at_every_resolution() -> None:
    """The params of every published network, by every convention, are those at 224 px: one network gives them all."""
    specs: list[Any] = [entry.spec for entry in entries() if entry.spec]
    networks = dict.fromkeys(replace(spec, resolution=224) for spec in specs)

    assert len(networks) > 50
    for spec in networks:
        others = [params(replace(spec, resolution=resolution)) for resolution in (96, 331, (160, 192))]
        assert [params(spec)] * 3 == others, spec
