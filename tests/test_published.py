"""What was printed about these networks, and our verdict on each figure."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from witness import table

from mbanalyze import archs
from mbanalyze.archs import ARCHS
from mbanalyze.literature import conventions as rules
from mbanalyze.literature import verdicts
from mbanalyze.literature import view as render
from mbanalyze.literature.figures import Figure, entries
from mbanalyze.literature.paper_tables import reproductions
from mbanalyze.literature.verdicts import OUTCOMES, PublishedError, Verdict, Where
from mbanalyze.ops.registry import cost

V1, V2, V3 = "arXiv:1704.04861", "arXiv:1801.04381", "arXiv:1905.02244"
SHUFFLE_V1, SHUFFLE_V2 = "arXiv:1707.01083", "arXiv:1807.11164"
SLIM = "tensorflow/models@0ba83cf0"


def found(tables: str, settings: str) -> list[Verdict]:
    """Verdicts on figures whose source begins so, in rows with these settings."""
    chosen = dict(setting.split("=", 1) for setting in settings.split())
    quantity = chosen.pop("quantity", "macs")
    where = Where(tables, quantity, chosen)
    return [verdict for verdict in verdicts.verdicts() if where.covers(verdict.figure)]


# tables, which rows, outcome, rule, what the arithmetic must show
NOTABLE = [
    # with the classifier 4867.29 and 568.74; without 4866.27 and 567.72
    (f"{V1} Table 4", "printed=4866", "convention", "without the classifier", "4,866,269,184"),
    (f"{V1} Table 4", "printed=569", "exact", "rounded", "568,740,352"),
    (f"{V1} Table 7", "printed=290", "erratum", "contradicts it", "is as counted cut off, without the classifier rounded"),
    (f"{V1} Table 8", "printed=15300", "convention", "convolutions alone, to 3 digits", "15,346,630,656"),
    # 2 x 832,667,936 + 2 x 512 x 1000 x (15 x 15 - 13 x 13) = 1,722,679,872
    (f"{V1} Table 9", "printed=1700", "convention", "two flops a multiply-accumulate", "1,722,679,872"),
    (f"{V1} Table 9", "printed=76", "unresolved", None, "as counted cut off, without the classifier rounded"),
    # 1,331,592 less 2 x 5,472 of batch norm and 1000 biases
    (f"{V1} Table 9", "quantity=params printed=1.32", "convention", "weights alone", "1,319,648"),
    (f"{V1} Table 10", "printed=569", "convention", "of the network with 1000 classes", "567,839,232"),
    (f"{V1} Table 12", "printed=568", "convention", "without the classifier", "567,716,352"),
    (f"{V1} Table 12", "printed=48", "unresolved", None, "without the classifier cut off"),
    (f"{V1} Table 12", "printed=45", "unresolved", None, "40,774,272"),
    (f"{V1} Table 12", "printed=15", "unresolved", None, "13,314,048"),
    (f"{V1} Table 14", "printed=166", "erratum", "that of resolution=160", "165,628,800"),
    ("tensorflow/models@02c04f49", "alpha=0.75 resolution=128", "convention", "without the first", "104,116,224"),
    ("tensorflow/models@02c04f49", "printed=34", "erratum", "its neighbours contradict it", "30,212,608"),
    ("tensorflow/models@02c04f49", "printed=150", "unresolved", None, "149,497,088"),
    ("tensorflow/models@02c04f49", "quantity=params printed=1.34", "convention", "1001 classes", "1,337,577"),
    (f"{V2} Table 4", "printed=575", "unresolved", None, "prints 569 M"),
    (f"{V2} Table 4", "printed=300", "convention", "cut off", "300,774,272"),
    (f"{V2} Table 4", "quantity=params printed=6.9", "unresolved", None, "6,108,776"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V2)", "alpha=0.35", "exact", "cut off", "is cut off to"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V2)", "quantity=params alpha=1.4", "convention",
     "without batch norm, 1001 classes", "6,062,633"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "printed=66", "erratum",
     "its neighbours contradict it", "74 M at 256 px gives 56.7 M"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "quantity=params printed=2.9", "erratum",
     "that of head=1280", "2,946,568"),
    (f"{SLIM} research/slim/nets/mobilenet/README.md (V3)", "printed=65", "unresolved", None, "52,288,448"),
    (f"{V3} Table 3, latest version", "printed=219", "unresolved", None, "prints 217 M"),
    (f"{V3} Table 3, latest version", "printed=56", "erratum", "Table 9, latest version contradicts it", "57 M"),
    (f"{V3} Table 9, latest version", "quantity=params printed=5.4", "unresolved", None, "as counted cut off"),
    (f"{V3} Table 9, latest version", "printed=74", "erratum", "that of head=1280", "73,578,496"),
    (f"{V3} Table 9, earliest version", "printed=74", "exact", "rounded", "73,578,496"),
    (f"{V3} Table 9, earliest version", "printed=66", "erratum", "its neighbours contradict it", "56,913,856"),
    (f"{V3} Table 9, latest version", "quantity=params printed=3.6", "erratum", "that of head=1280", "3,645,960"),
    (f"{SHUFFLE_V1} Table 1", "groups=8", "convention", "without the classifier", "136,829,952"),
    (f"{SHUFFLE_V1} Table 5", "variant=shufflenet_v1 alpha=1.5", "exact", "rounded", "292,443,552"),
    (f"{SHUFFLE_V1} Table 5", "printed=40", "unresolved", None, "width of the shallow network"),
    (f"{SHUFFLE_V1} Table 6", "printed=833", "exact", "rounded", "832,667,936"),
    ("megvii-model/ShuffleNet-Series@aa91feb7 ShuffleNetV1", "alpha=1.0 groups=3", "unresolved", None, "137,460,672"),
    (f"{SHUFFLE_V1} Table 2", "alpha=1.0", "unresolved", None, "the one complexity of its row"),
    (f"{SHUFFLE_V2} Table 5", "alpha=0.5", "unresolved", None, "as counted rounded up"),
    ("arXiv:1512.00567", "variant=inception_v3", "unresolved", None, "5,713,216,096"),
    (f"{SHUFFLE_V2} Table 8", "printed=587", "unresolved", None, "582,195,824"),
    ("forresti/SqueezeNet", "printed=1.72", "convention", "two flops", "1,722,679,872 is rounded to 1.72 G"),
    ("forresti/SqueezeNet", "printed=0.72", "unresolved", None, "775,495,040"),
    ("keras-team", "quantity=params variant=xception", "convention", "with the moving", "22,910,480"),
    # a bias for each of ResNet-50's convolutions; no scale in Inception's batch norm
    ("keras-team", "quantity=params variant=resnet50", "convention", "a bias in every", "25,636,712"),
    ("keras-team", "quantity=params variant=inception_v3", "convention", "without its scale", "23,851,784"),
    ("arXiv:1610.02357", "quantity=params variant=xception", "exact", "rounded", "22,855,952"),
    ("torchvision", "quantity=params variant=inception_v3", "convention", "auxiliary head", "27,161,264"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "settings", "outcome", "rule", "shown"), NOTABLE)
def test_notable_figures(tables: str, settings: str, outcome: str, rule: str | None, shown: str) -> None:
    """The verdicts that the arithmetic in the comments leads to."""
    judged = found(tables, settings)

    assert judged
    for verdict in judged:
        assert outcome == verdict.outcome
        assert verdict.rule is None if rule is None else rule in (verdict.rule or "")
        assert shown in verdict.arithmetic


def test_every_figure_has_a_verdict() -> None:
    """One each, in the words that are documented, of the columns that are an interface."""
    figures = [figure for entry in entries() for figure in entry.figures]
    records = render.records(verdicts.verdicts())

    assert len(figures) == len(records)
    assert Counter(map(str, (r["verdict"] for r in records))).keys() == set(OUTCOMES)
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
    """A verdict as the stored table has it."""
    entry = verdict.figure.entry
    return {
        "source": entry.source,
        "network": render.network(verdict),
        "printed": f"{verdict.figure.printed} {verdict.figure.unit} {verdict.figure.quantity}",
        "computed": "" if verdict.computed is None else str(verdict.computed),
        "verdict": verdict.outcome,
        "rule": verdict.rule or "",
    }


STORED = table("verdicts.csv")
NAMES = [f"{row['source']}: {row['network']}: {row['printed']}" for row in STORED]


@pytest.mark.parametrize(
    ("stored", "verdict"), list(zip(STORED, verdicts.verdicts(), strict=True)), ids=NAMES
)
def test_no_verdict_moves_unseen(stored: dict[str, str], verdict: Verdict) -> None:
    """Each is the stored one; where that should change, the table in `data` does."""
    assert stored == line(verdict)


@pytest.mark.parametrize("verdict", verdicts.verdicts(), ids=NAMES)
def test_an_exact_figure_is_what_we_count(verdict: Verdict) -> None:
    """Rounded to nearest, or cut off where the whole table is; and what is not defined is not computed."""
    figure, count = verdict.figure, verdict.computed
    assert (count is None) == bool(figure.entry.undefined)
    if count is None:
        assert verdict.outcome == "unresolved"
        return
    decimals = len(figure.printed.partition(".")[2])
    unit = 10 ** ({"M": 6, "G": 9}[figure.unit] - decimals)
    printed = int(figure.printed.replace(".", ""))
    ways = {"rounded": (2 * count + unit) // (2 * unit), "cut off": count // unit}
    way = "cut off" if verdicts.cuts_off(figure.table) else "rounded"

    assert (verdict.outcome == "exact") == (printed == ways[way])
    assert verdict.outcome != "exact" or verdict.rule == way


def test_tables_that_cut_off_do_so_throughout() -> None:
    """No table has exact figures of both ways."""
    ways: dict[tuple[str, str], set[str | None]] = {}
    for verdict in verdicts.verdicts():
        if verdict.outcome == "exact":
            ways.setdefault(verdict.figure.table, set()).add(verdict.rule)

    assert all(len(used) == 1 for used in ways.values())


def test_rules_without_a_statement_fit_all_they_cover() -> None:
    """And every reading, with a statement or without, explains something."""
    figures = [figure for entry in entries() for figure in entry.figures if entry.spec]
    for reading in verdicts.readings():
        covered = [figure for figure in figures if reading.where.covers(figure)]
        fitting = [figure for figure in covered if reading.fits(figure, verdicts.way_of(figure))]
        assert fitting, reading
        if reading.ground == "fits":
            assert covered == fitting, reading


def test_every_erratum_is_shown_by_arithmetic() -> None:
    """No line of the list of causes is idle."""
    wrong = [verdict for verdict in verdicts.verdicts() if verdict.outcome == "erratum"]

    for erratum in verdicts.errata():
        assert any(erratum.where.covers(verdict.figure) for verdict in wrong), erratum


def test_rows_are_about_known_networks() -> None:
    """A row has a network in closed form, or says why not."""
    for entry in entries():
        assert (entry.spec is None) == bool(entry.undefined)
        assert entry.undefined or entry.variant in ARCHS


def test_accuracy_and_speed_are_kept() -> None:
    """Table 8 of ShuffleNet V2, whole: top-1, and speeds on GPU and ARM."""
    rows = [entry for entry in entries() if entry.source == f"{SHUFFLE_V2} Table 8"]

    assert len(rows) == 25
    assert all(row.top1 and row.gpu_batches_per_s and row.arm_images_per_s for row in rows)
    assert [(e.top1, e.latency_ms, e.device) for e in entries() if e.source == f"{V2} Table 4"][-1] == (
        74.7,
        143.0,
        "Google Pixel 1, one large core, TF-Lite",
    )


def test_a_changed_network_changes_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head of 1400 instead of 1280 channels moves MobileNetV2's figures from exact."""
    before = {v.figure: v.outcome for v in verdicts.verdicts("mobilenet_v2")}
    for cached in (rules._rows, verdicts.cuts_off, verdicts._all):
        cached.cache_clear()
    try:
        monkeypatch.setattr(archs.mobilenet_v2, "HEAD", 1400)
        after = {v.figure: v.outcome for v in verdicts.verdicts("mobilenet_v2")}
    finally:
        monkeypatch.undo()
        for cached in (rules._rows, verdicts.cuts_off, verdicts._all):
            cached.cache_clear()

    moved = {figure.printed for figure in before if before[figure] != after.get(figure)}
    assert {"3.504872", "582", "0.301"} <= moved


def test_families_and_networks_can_be_named() -> None:
    """A family holds its networks; an unknown name lists the known ones."""
    family = verdicts.verdicts("mobilenet")

    assert {v.figure.entry.variant for v in family} == {
        "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    }  # fmt: skip
    assert set(verdicts.verdicts("mobilenet_v2")) < set(family)
    with pytest.raises(PublishedError, match=r"no figure of 'lenet' is known: .*families are alexnet, "):
        verdicts.verdicts("lenet")


def test_small_tables() -> None:
    """Their printed cells agree with the computed ones but for what their notes say."""
    shares, layer, widest, stage = (made.records for made in reproductions())

    wrong = [r["layer"] for r in shares if r["printed macs %"] != r["macs %"]]
    assert wrong == ["Conv 3x3"]
    assert [r["printed params %"] for r in shares] == [r["params %"] for r in shares]
    # 94.86 + 3.06 + 1.19 + 0.18
    assert f"{sum(float(r['printed macs %']) for r in shares):.2f}" == "99.29"
    for r in layer:
        for name in ("macs", "params"):
            printed = r[f"printed M {name}"]
            assert printed == f"{r[name] / 1e6:.{len(printed.partition('.')[2])}f}"
    assert [r["MobileNetV2"].split("/")[0] for r in widest] == ["16", "24", "32", "96", "320"]
    assert [r["ShuffleNet 2x g=2"].split("/")[0] for r in widest][2:] == ["400", "800", "1600"]
    # 7 x 7 x 1024 x 2 bytes = 100,352
    assert widest[-1]["MobileNetV1"] == "1024/100"
    assert [r["macs"] for r in stage] == [250_907_520, 216_589_760, 34_317_760]


def test_prose_that_the_papers_got_wrong() -> None:
    """Figures outside tables, recomputed."""

    def macs(spec: Any) -> int:
        return sum(cost(op).macs or 0 for op in spec.ops())

    # MobileNetV1 section 4.4 prints 0.58 million for a body of 567.7 M and a classifier of 10 M: it is billion
    body = rules.NO_CLASSIFIER["macs"].of(archs.MobileNetV1())
    assert f"{(body + 10_000_000) / 1e9:.2f}" == "0.58"
    # MobileNetV2 section 4 prints 19 bottlenecks; its Table 2 has 17
    assert sum(n for _, _, n, _ in archs.mobilenet_v2.BLOCKS) == 17
    # MobileNetV1 section 4.3 says 22 times less computation than SqueezeNet: by one unit it is 11 times
    squeezenet = macs(archs.SqueezeNet1_0(resolution=227))
    assert round(squeezenet / macs(archs.MobileNetV1(alpha=0.5, resolution=160))) == 11
    # MobileNetV2: "7 to 585 M": the smallest network of its grid has 11.9 M
    assert f"{macs(archs.MobileNetV2(alpha=0.35, resolution=96)) / 1e6:.1f}" == "11.9"


def test_formats_hold_the_same_figures() -> None:
    """JSON and CSV have a record for each; unknown is null, and an empty cell."""
    judged = verdicts.verdicts("shufflenet")
    objects = json.loads(render.json(judged))
    rows = list(csv.DictReader(io.StringIO(render.csv(judged))))

    assert len(judged) == len(objects) == len(rows)
    for thing, row in zip(objects, rows, strict=True):
        assert ("" if thing["computed"] is None else str(thing["computed"])) == row["computed"]
    assert {"options": {"alpha": 2.0, "resolution": 224, "layout": "paper"}}.items() <= next(
        thing for thing in objects if thing["printed"] == "591"
    ).items()


def test_figures_round_half_up() -> None:
    """Away from zero at a half, at the printed precision."""
    figure = Figure(entries()[0], "macs", "0.3", "M")

    assert figure.fits(250_000)
    assert not figure.fits(249_999)
    assert figure.fits(399_999, "cut off")
    assert figure.fits(200_001, "rounded up")
    assert replace(figure, printed="1700").fits(1_650_000_000, digits=2)
    assert not replace(figure, printed="1700").fits(1_649_999_999, digits=2)
