"""Tables as people have them: other separators and encodings, copies, epochs, runs that failed, other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, decide, infer
from reconscale.laws.csv_text import advise_number

PLAIN = "n,psnr,seed\n100,30.85,0\n300,31.27,0\n1000,31.61,1\n"


def read(tmp_path: Path, content: str | bytes, metric: str | None = None) -> Points:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Points.from_csv(path, metric)


def codes(points: Points) -> list[str]:
    return [item.code for item in points.findings]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r\r\n"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t").replace(".", ","),
        PLAIN + PLAIN.partition("\n")[0] + "\n",
        "sep=;\n" + PLAIN.replace(",", ";"),
        '"sep=,"\r\n' + PLAIN,
        PLAIN.encode("utf-16"),
        ("\ufeff" + PLAIN).encode("utf-16-be"),
        '"n";"psnr";"seed"\n"100";"30,85";"0"\n"300";"31,27";"0"\n"1000";"31,61";"1"\n',
        PLAIN.replace("n,", "num-train,", 1),
        PLAIN.replace("n,", "Train Size,", 1).replace("seed", "manual_seed"),
        PLAIN.replace("psnr", "test_psnr"),
        PLAIN.replace("psnr", "PSNR (dB)"),
        PLAIN.replace("n,psnr", "data.train_size,test/psnr"),
        "# exported by me\n# from a notebook, twice\n" + PLAIN,
        "# " + PLAIN,
        "#sep\n\n#" + PLAIN.replace(",", ";"),
        "sep=;\n# by me\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("n,psnr", "n (images),PSNR [dB]"),
        PLAIN.replace("n,psnr", "N_train [#],psnr (dB)"),
        "n (k),psnr,seed\n0.1,30.85,0\n0.3,31.27,0\n1,31.61,1\n",
        "n [thousand images],psnr,seed\n0.1,30.85,0\n0.3,31.27,0\n1,31.61,1\n",
    ],
)
def test_the_same_table_in_other_clothes(tmp_path, content):
    points = read(tmp_path, content)
    assert (points.n.tolist(), points.y.tolist(), points.seed.tolist()) == (
        [100, 300, 1000], [30.85, 31.27, 31.61], [0, 0, 1])  # fmt: skip
    assert points.metric == "psnr" and not points.findings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("n,psnr\n100,30\n300,31\n1.000,32\n", "column 'n': found '1.000' beside '100', .* write 1000 or 1, without"),
        ("n,psnr\n1.000,30.1\n3.000,31.2\n", "column 'n': found '1.000', which is 1000 in one half"),
        ("n;psnr\n1.000;30,1\n300;31,2\n", "write 1000 or 1"),
        ("n,p,psnr\n10,465.859,30.1\n30,465.859,31.2\n", "column 'p': found '465.859'"),
        ("n,psnr\n100,30\n1 000,31\n", "found '1 000'; a number is expected; write 1000"),
        ('n,psnr\n100,30\n"1,000",31\n', "found '1,000'; a number is expected; write 1000$"),
        ('n,psnr\n100,"30,85"\n', "found '30,85'; a number is expected; write 30.85"),
        ("n psnr\n1 2\n", "separate the columns by commas"),
        (PLAIN.encode("utf-16-le"), "zero bytes: it is UTF-16 without a byte order mark"),
        ("n_train,model.n_train,psnr\n1,2,30\n", "several columns may be n: 'n_train', 'model.n_train'"),
        ("n,dataset,psnr\n1,Set5,30\n1,Set14,31\n", "column 'dataset': found 'Set5' and 'Set14' in rows that are"),
        ("n,seed,sigma,psnr\n1,0,15,30\n1,0,25,31\n", "column 'sigma': found '15' and '25'"),
        ("n,epoch,psnr\n1,1,30\n1,2,31\n1,2,32\n", "two different rows at epoch 2 .* add a column 'seed'"),
        (
            "n,seed,epoch,psnr\n1,0,1,30\n1,0,2,31\n1,0,2,32\n",
            "two different rows at epoch 2 .* keep those of the later",
        ),
        ("n,scale,psnr\n1,2,30\n1,4,25\n", "column 'scale': found '2' and '4' in rows that are otherwise one run"),
        ("n,metric,psnr\n1,psnr,30\n1,ssim,0.8\n", "column 'metric': found 'psnr' and 'ssim'"),
        (
            "n,seed,sigma,psnr\n1,0,15,30\n1,1,25,27\n2,2,15,31\n2,3,25,28\n",
            r"column 'sigma': found '15' and '25' in rows of one size \(lines 2 and 3\); keep one 'sigma' in a file",
        ),
        ("n,psnr\n100,30\n1k,31\n", "found '1k'; a number is expected; write 1000$"),
        ("n,psnr\n10%,30\n", "found '10%'; a number is expected; write the number itself, not a share in per cent"),
        ("n,psnr\n1,30.85 dB\n", "write 30.85, without the unit"),
        ("n,psnr\n1,30.85 \u00b1 0.1\n", "write 30.85, without its spread"),
        ("n,psnr\n1,30.85 (0.10)\n", "write 30.85, without its spread"),
        ("n,seed,psnr\n1,0,30\n2,,31\n", "column 'seed': found nothing; .* fill it in, or leave the column out"),
        ("images (n),psnr\n1,30\n", r"no column 'n' among 'images \(n\)', 'psnr'; name the column"),
        ("n,psnr\n0.01,30\n0.1,31\n1,32\n", "column 'n': found 0.01 to 1, which are parts of a data set; n counts"),
        ("n,psnr,unit\n1,30,dB\n", "column 'unit': found 'dB'; this column says what n counts"),
        ("n,val_psnr\n1,30\n2,31\n", "there is no column of measured values"),
        ("n,psnr,state\n1,30,failed\n2,30,crashed\n", "no run that finished"),
    ],
)
def test_refusals_name_their_remedy(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("n", ["100.000,1000.000", "0.500,2.000,10.0", "1.0,3.0", "1e3,3e3"])
def test_decimals_that_a_program_wrote(tmp_path, n):
    numbers = n.split(",")
    points = read(tmp_path, "n,psnr\n" + "".join(f"{text},30.1\n" for text in numbers))
    assert points.n.tolist() == [float(text) for text in numbers]
    assert read(tmp_path, "n,psnr\n1.000,30.100\n3.000,31.200\n").n.tolist() == [1, 3]


def test_advice():
    assert advise_number("30;85") == "" and advise_number("1'000") == "write 1000"


@pytest.mark.parametrize("column", ["model", "split"])
def test_names_and_folds_are_no_conditions(tmp_path, column):
    values = "abcd" if column == "model" else "0101"
    rows = zip((1, 1, 2, 2), range(4), values, strict=True)
    points = read(tmp_path, f"n,seed,{column},psnr\n" + "".join(f"{n},{s},{v},30.{s}\n" for n, s, v in rows))
    assert len(points) == 4 and not points.findings


def test_parts_of_a_data_set_with_their_unit(tmp_path):
    assert read(tmp_path, "n,psnr,unit\n0.1,30,data sets\n1,31,data sets\n").unit == "data sets"


CURVE = {100: 30.0, 300: 30.8, 1000: 31.3, 3000: 31.6, 10000: 31.75}


def test_copies_of_rows_are_one_run():
    once = Points(list(CURVE), list(CURVE.values()), [0] * 5, metric="psnr")
    twice = Points([*CURVE] * 2, [*CURVE.values()] * 2, [0] * 10, metric="psnr")
    first, second = decide(once), decide(twice)
    assert (first.verdict, first.gain_n) == (second.verdict, second.gain_n)
    assert "repeated-rows" in [item.code for item in second.findings]


def test_equal_labels_with_different_values_are_asked_about():
    points = Points([*CURVE, 300], [*CURVE.values(), 29.0], [0] * 6, metric="psnr")
    text = next(item.text for item in infer(points).level.findings if item.code == "same-labels")
    assert "2 rows have n = 300, seed = 0 and different values (30.8, 29)" in text


def test_networks_and_seeds_tell_rows_apart():
    points = Points([1, 1, 2, 2], [3, 3, 2, 2], [0, 0, 0, 0], [10, 20, 10, 20])
    assert not [item for item in infer(points).level.findings if item.code in ("same-labels", "repeated-rows")]


def long_table(clock: str = "epoch", seed: str = ",seed", ends: tuple[int, ...] = (3, 3, 3)) -> str:
    rows = [
        f"{n},{time},{25 + k + time}{',0' if seed else ''}"
        for k, (n, end) in enumerate(zip((10, 20, 40), ends, strict=True))
        for time in range(1, end + 1)
    ]
    return "\n".join([f"n,{clock},psnr{seed}", *rows])


@pytest.mark.parametrize("clock", ["epoch", "step", "Iteration", "steps"])
def test_the_last_row_of_a_training_counts(tmp_path, clock):
    points = read(tmp_path, long_table(clock))
    assert points.y.tolist() == [28, 29, 30] and codes(points) == ["last-of-training"]


def test_trainings_without_seeds(tmp_path):
    assert read(tmp_path, long_table(seed="")).y.tolist() == [28, 29, 30]
    replicates = "n,epoch,psnr\n10,180,28\n10,150,28.1\n20,90,29\n20,95,29.1\n"
    points = read(tmp_path, replicates)
    assert len(points) == 4 and codes(points) == ["times-as-replicates"]


def test_trainings_that_end_at_different_times_are_said(tmp_path):
    points = read(tmp_path, long_table(ends=(3, 3, 2)))
    assert points.y.tolist() == [28, 29, 29] and codes(points) == ["last-of-training", "steps-differ"]


def test_a_table_of_imported_runs_is_left_alone(tmp_path):
    points = read(tmp_path, "n,psnr,run,step\n10,28,a,100\n10,28.1,b,90\n20,29,c,100\n")
    assert len(points) == 3 and not points.findings


@pytest.mark.parametrize(
    "column, bad",
    [("state", "crashed"), ("Status", "FAILED"), ("state", "TrialState.PRUNED"), ("status", "OUT_OF_MEMORY"),
     ("status", "CANCELLED by 1000"), ("failed", "True"), ("status", "whatever")],
)  # fmt: skip
def test_runs_that_did_not_finish(tmp_path, column, bad):
    good = "False" if column == "failed" else "COMPLETED"
    points = read(tmp_path, f"n,psnr,{column}\n10,28,{good}\n20,,{bad}\n40,30,{good}\n")
    assert points.n.tolist() == [10, 40] and codes(points) == ["rows-left-out"]
    assert f"'{bad}'" in points.findings[0].text


def test_columns_called_status_that_are_none(tmp_path):
    assert len(read(tmp_path, "n,psnr,status\n10,28,v1\n20,29,v2\n")) == 2


def test_the_best_of_a_run_is_said(tmp_path):
    assert codes(read(tmp_path, "n,best_psnr\n10,28\n20,29\n")) == ["selected-on-test"]


def test_further_metrics_stand_back(tmp_path):
    assert read(tmp_path, "n,psnr,rmse,lpips\n10,28,1,1\n20,29,1,1\n").metric == "psnr"
    assert read(tmp_path, "n,psnr,params\n10,28,1.2M\n20,29,1.2M\n").p is None
    assert read(tmp_path, "n,psnr,params\n10,28,1e6\n20,29,2e6\n").p.tolist() == [1e6, 2e6]
    assert read(tmp_path, "n,train_loss,psnr_db\n10,1,28\n20,1,29\n").metric == "psnr"


@pytest.mark.parametrize("values", [(0.852, 0.861, 0.87), (3e-3, 2e-3, 1.8e-3)])
def test_values_that_cannot_be_decibels(values):
    points = Points([100, 300, 1000], values, metric="psnr")
    decision = decide(points)
    assert decision.verdict == "FIX FIRST" and "look like SSIM" in decision.reservation
    assert np.isfinite(infer(points).forecast([2000]).median).all()


@pytest.mark.parametrize(
    "name", ["params (M)", "p [M]", "#params (million)", "params_m", "Num Params [10^6]", "params(m)"]
)
def test_units_of_parameters_are_applied(tmp_path, name):
    points = read(tmp_path, f"n,psnr,{name}\n100,30.85,1.5\n300,31.27,1.5\n1000,31.61,25.6\n")
    assert points.p.tolist() == [1.5e6, 1.5e6, 25.6e6]


def test_a_unit_of_n_says_what_it_counts(tmp_path):
    points = read(tmp_path, PLAIN.replace("n,", "n (patients),", 1))
    assert points.unit == "patients" and points.n.tolist() == [100, 300, 1000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            PLAIN.replace("n,", "n (%),", 1),
            r"header: found 'n \(%\)', with a unit that is not known here; name the column",
        ),
        ("n,psnr,test_set\n100,30,a\n300,31,a\n1000,32,b\n", r"'test_set': found 'a' \(line 2\) and 'b' \(line 4\) at"),
        ("n,psnr,n_test\n100,30,50\n300,31,100\n", "found '50' .* and '100' .* the curve would show what was tested"),
        ("n,psnr,sigma\n100,30,25\n300,31,25\n1000,34,15\n", "column 'sigma': found '25' .* and '15'"),
        ("n,psnr,split\n100,30,train\n300,31,test\n1000,34,test\n", "column 'split': found 'train' .* and 'test'"),
        ("n,psnr,model\n100,30,a\n300,31,a\n1000,34,b\n", "column 'model': found 'a' .* and 'b'"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "n,psnr,dataset\n100,30,div2k_100\n300,31,div2k_300\n1000,32,div2k_1000\n",
        "n,psnr,test_set\n100,30,a\n300,31,a\n1000,32,a\n",
        "n,psnr,split,seed\n100,30,0,0\n100,30.1,1,1\n300,31,0,0\n1000,32,1,1\n",
        "n,p,psnr,model\n100,1e5,30,a\n300,1e6,31,b\n1000,1e6,32,b\n",
        "name,n,psnr\na,100,30\nb,300,31\n",
    ],
)
def test_what_may_change_along_n(tmp_path, content):
    assert len(read(tmp_path, content)) >= 2


def test_parameters_with_decimals_are_said(tmp_path):
    points = read(tmp_path, "n,p,psnr\n100,1.5,30\n300,1.5,31\n")
    assert codes(points) == ["p-not-whole"] and "'params (M)'" in str(points.findings[0])
    assert codes(read(tmp_path, "n,p,psnr\n100,1e6,30\n300,2e6,31\n")) == []


def test_psnr_of_another_data_range_is_said(tmp_path):
    for offset, says in ((48.13, "255 give 48.13 dB too much"), (-48.13, "range of 1 give 48.13 dB too little")):
        rows = "".join(f"{n},{value + offset:.2f}\n" for n, value in ((100, 30.8), (300, 31.3), (1000, 31.6)))
        found = decide(read(tmp_path, "n,psnr\n" + rows)).findings
        assert any(item.code == "psnr-of-another-range" and says in str(item) for item in found)


ALIEN = {
    "psnr": [(30.1, 30.6, 0.87, 31.2), (30.1, 0.85, 31.0), (30.1, 30.6, 31.2, 0.0021), (30.1, 6.0, 0.9, 31.0)],
    "error": [(0.0021, 18.0, 0.0015), (18.0, 0.0021, 0.0015), (0.0021, 0.0018, 1e-7), (2.1, 0.018, 0.015)],
}


@pytest.mark.parametrize("metric, values", [(metric, values) for metric, rows in ALIEN.items() for values in rows])
def test_a_value_of_another_scale_is_asked_back(metric, values):
    decision = decide(Points([100, 300, 1000, 3000][: len(values)], values, metric=metric))
    assert decision.verdict == "FIX FIRST" and "values of another scale (" in decision.reservation


@pytest.mark.parametrize(
    "metric, n, values",
    [
        ("error", (1, 3, 10, 30), (10.0, 0.02, 0.015, 0.013)),
        ("error", (1, 10, 100, 1000), (1.0, 1e-2, 1e-4, 1e-6)),
        ("error", (10, 100, 1000), (3.0, 0.02, 0.018)),
        ("psnr", (1, 2, 3, 10), (-3.0, 4.0, 20.0, 30.0)),
        ("psnr", (10, 30, 100, 300), (6.1, 29.0, 30.0, 31.0)),
        ("psnr", (1, 2, 4, 8), (0.9, 2.4, 4.0, 6.0)),
        ("psnr", (1, 3, 10, 30, 100), (4.8, 12.0, 22.0, 25.0, 26.0)),
        ("psnr", (1, 3, 10, 30), (2.5, 24.0, 25.0, 26.0)),
        ("ssim", (10, 30, 100), (0.02, 0.8, 0.9)),
    ],
)
def test_steep_curves_are_of_one_scale(metric, n, values):
    found = [item.code for item in infer(Points(n, values, metric=metric)).level.findings]
    assert not {"mixed-scales", "looks-like-ssim"} & {*found}


def test_a_run_that_diverged_beside_two_others_is_no_other_scale():
    points = Points([100] * 3 + [300] * 3, [2e-3, 2.1e-3, 5.0, 1.8e-3, 1.7e-3, 1.75e-3], [0, 1, 2] * 2)
    assert "mixed-scales" not in [item.code for item in infer(points).level.findings]


def test_scales_are_compared_within_a_network():
    """Networks may be hundreds of times better than others, at every n."""
    points = Points([10, 30, 100] * 2, [0.1, 0.09, 0.08, 1e-4, 9e-5, 8e-5], width=[1, 1, 1, 64, 64, 64])
    assert "mixed-scales" not in [item.code for item in infer(points).level.findings]
    swapped = Points([10, 30, 100] * 2, [0.1, 0.09, 0.08, 1e-4, 0.9, 8e-5], width=[1, 1, 1, 64, 64, 64])
    (text,) = [item.text for item in infer(swapped).level.findings if item.code == "mixed-scales"]
    assert text.startswith("values of another scale (0.9) stand beside 8e-05 to 0.0001: 9,000 times apart of width 64")


def test_ssim_slightly_above_one_is_no_psnr():
    decision = decide(Points([100, 300, 1000], [0.95, 1.0, 1.04], metric="psnr"))
    assert decision.verdict == "FIX FIRST" and "an SSIM is below 1, so correct those that are" in decision.reservation


@pytest.mark.parametrize("metric, read_as", [("ssim", "ssim"), ("mse", "error"), ("error", "error")])
def test_what_is_no_psnr_is_read_as_the_metric_asked_for(tmp_path, metric, read_as):
    content = "n,psnr\n100,0.81\n300,0.85\n"
    assert read(tmp_path, content, metric).metric == read_as
    for other in ("n,psnr\n100,30.1\n300,0.85\n", "n,psnr,mse\n100,0.8,1\n300,0.85,1\n", "n,mse\n100,0.8\n300,0.85\n"):
        with pytest.raises(UserError, match="where 'ssim' was expected"):
            read(tmp_path, other, "ssim")


@pytest.mark.parametrize("clock", ["epoch_idx", "Epoch #", "trainer/global_step", "iter_num", "step (idx)"])
def test_clocks_under_other_names(tmp_path, clock):
    points = read(tmp_path, long_table(clock))
    assert points.y.tolist() == [28, 29, 30] and codes(points) == ["last-of-training"]


def test_the_last_time_of_the_day_counts(tmp_path):
    rows = [f"{n},0,2024-01-0{3 - k}T1{k}:00:00,{y}" for n in (10, 20) for k, y in enumerate((n + 3, n + 2, n + 1))]
    points = read(tmp_path, "\n".join(["n,seed,timestamp,psnr", *rows]))
    assert points.y.tolist() == [13, 23] and codes(points) == ["last-of-training"], "by time, not by line"
    assert len(read(tmp_path, "\n".join(["n,seed,_timestamp,psnr", "10,0,1.5e9,13", "10,1,1.6e9,14"]))) == 2
    alone = "\n".join(["n,_timestamp,psnr", *(f"{n},{1.5e9 + i},{n + i}" for n in (10, 20) for i in range(3))])
    assert len(read(tmp_path, alone)) == 6 and codes(read(tmp_path, alone)) == ["times-as-replicates"]


def test_epochs_and_steps_together(tmp_path):
    rows = "100,0,0,10,29\n100,0,1,20,30\n300,0,0,30,30\n300,0,1,60,31\n"
    points = read(tmp_path, "n,seed,epoch,step,psnr\n" + rows)
    assert points.y.tolist() == [30, 31] and codes(points) == ["last-of-training"], "all ended at one epoch"


def test_settings_of_rows_that_do_not_count_are_not_mixed(tmp_path):
    rows = "".join(f"{n},0,{e},{1e-3 / e},{28 + e}\n" for n in (10, 20) for e in (1, 2))
    assert codes(read(tmp_path, "n,seed,epoch,lr,psnr\n" + rows)) == ["last-of-training"]


@pytest.mark.parametrize(
    "table, said",
    [
        ("n,psnr,run,step\n10,28,a,5000\n20,29,b,9500\n40,30,c,5000\n", ["steps-differ"]),
        ("n,psnr,step\n10,28,10000\n20,29,2000\n40,30,10000\n", ["steps-differ"]),
        ("n,psnr,epoch\n10,28,10\n20,29,2\n40,30,10\n", ["steps-differ"]),
        ("n,psnr,epoch\n10,28,400\n20,29,200\n40,30,100\n", []),
        ("n,psnr,epoch,step\n10,28,5,100\n20,29,5,200\n40,30,5,400\n", []),
        ("n,psnr,validation,width,step\n10,28,28,8,100\n20,29,29,8,40\n", []),
        ("n,psnr,run,step\n10,28,a,100\n20,29,b,95\n", []),
        ("n,psnr,best_epoch\n10,28,2\n20,29,10\n", []),
    ],
)
def test_runs_that_end_far_apart_are_said(tmp_path, table, said):
    assert codes(read(tmp_path, table)) == said


def test_names_tell_runs_of_equal_values_apart(tmp_path):
    def left(names: str, column: str = "run") -> list[float]:
        rows = zip(names, (10, 10, 20, 40), (28, 28, 29, 30), strict=True)
        points = read(tmp_path, f"n,psnr,{column}\n" + "".join(f"{n},{y},{name}\n" for name, n, y in rows))
        return infer(points).level.count.tolist()

    assert left("abcd") == [2, 1, 1] and left("aabc") == [1, 1, 1] and left("abcd", "note") == [1, 1, 1]
    rows = "10,28,a\n10,28,a (2)\n20,29,b\n"
    assert infer(read(tmp_path, "n,psnr,run\n" + rows)).level.count.tolist() == [1, 1], "importers made that name"


@pytest.mark.parametrize("name", ["highest_psnr", "peak psnr", "lowest_mse", "psnr.maximum"])
def test_further_words_of_extremes(tmp_path, name):
    assert codes(read(tmp_path, f"n,{name}\n10,28\n20,29\n")) == ["selected-on-test"]
    assert codes(read(tmp_path, "n,peak signal-to-noise (psnr)\n10,28\n20,29\n")) == []


def test_an_extreme_beside_the_value_is_said(tmp_path):
    points = read(tmp_path, "n,test/psnr,test/psnr.max\n10,28,29\n20,29,29.5\n")
    assert points.y.tolist() == [28, 29] and codes(points) == ["extreme-unused"]


@pytest.mark.parametrize("cell, left", [("1", 2), ("0", 3), ("1:0", 2), ("0:9", 2), ("-11", 2), ("", 3), ("0.0", 3)])
def test_exit_codes(tmp_path, cell, left):
    points = read(tmp_path, f"n,psnr,Exit Code\n10,28,0\n20,20,{cell}\n40,30,0\n")
    assert len(points) == left and codes(points) == ["rows-left-out"] * (left == 2)


def test_columns_that_count_rows_are_no_settings(tmp_path):
    assert codes(read(tmp_path, ",number,n,psnr\n0,0,10,28\n1,1,20,29\n")) == []


def test_cautions_of_the_writer_are_read_back(tmp_path):
    said = "caution [restarts]: attempts overlap | warning [selected-on-test]: chosen on itself | note [no-code]: hello"
    points = read(tmp_path, f'n,psnr,cautions\n10,28,"{said}"\n20,29,"{said}"\n40,30,mine\n')
    assert [(item.code, item.severity) for item in points.findings] == [
        ("restarts", "caution"), ("selected-on-test", "warning")]  # fmt: skip


def test_a_psnr_of_thousands_is_a_decimal_comma(tmp_path):
    assert read(tmp_path, "n;psnr\n100;30,852\n300;31,123\n").y.tolist() == [30.852, 31.123]
    with pytest.raises(UserError, match="write 30.852 or 30852"):
        read(tmp_path, "n;mse\n100;30,852\n300;31,123\n")


def test_different_values_do_not_print_alike():
    points = Points([100, 100, 300], [30, 30.000001, 31], [0, 0, 0], metric="psnr")
    assert any("(30.000000, 30.000001)" in item.text for item in infer(points).level.findings)


def test_nameless_columns_are_not_listed(tmp_path):
    with pytest.raises(UserError, match="no column 'n' among 'number', 'psnr'"):
        read(tmp_path, ",number,psnr\n0,1,30\n")


@pytest.mark.parametrize(
    "row, value", [(4, 294.0), (2, 0.93), (1, 2.8), (0, -26.0), (slice(None), 0.9), (slice(1, 5), 0.9)]
)
def test_validation_of_another_scale_is_asked_back(row, value):
    y = np.array([26.0, 27.1, 28.0, 28.8, 29.4])
    columns = {
        "n": [10, 30, 100, 300, 1000] * 3,
        "y": np.concatenate([y - 0.3, y, y + 0.2]),
        "width": [8] * 5 + [16] * 5 + [32] * 5,
    }
    validation = columns["y"] - 0.4
    assert "mixed-scales" not in [
        item.code for item in infer(Points(**columns, validation=validation - 9, metric="psnr")).level.findings
    ]
    validation.reshape(3, 5)[slice(None) if row == slice(None) else 1, row] = value
    decision = decide(Points(**columns, validation=validation, metric="psnr"))
    assert decision.verdict == "FIX FIRST" and "in the column 'validation'" in decision.reservation


def test_a_run_that_diverged_has_an_odd_test_value_and_no_odd_validation():
    y = [26.0, 27.1, 28.0, 28.8, 8.0]
    points = Points([10, 30, 100, 300, 1000], y, validation=[26.0, 27.0, 28.0, 29.0, 29.5], metric="psnr")
    assert "mixed-scales" not in [item.code for item in infer(points).level.findings]


def test_a_validation_error_in_per_cent_is_asked_back():
    error = np.array([2.1e-3, 1.8e-3, 1.5e-3, 1.3e-3])
    points = Points([100, 300, 1000, 3000], error, validation=error * [1, 100, 1, 1])
    decision = decide(points)
    assert decision.verdict == "FIX FIRST" and "(0.18 in the column 'validation')" in decision.reservation


@pytest.mark.parametrize("value", [2.94, 1.2, -29.5, 2.6])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("row", [1, 2, 4])
def test_a_psnr_that_lost_its_decimal_or_sign_is_asked_back(value, seeds, row):
    y = [26.0, 27.1, 28.0, 28.8, 29.4]
    n, values = [10, 30, 100, 300, 1000] * seeds, [*y, *(0.1 + level for level in y)][: 5 * seeds]
    values[row] = value
    decision = decide(Points(n, values, np.repeat(range(seeds), 5), metric="psnr"))
    assert decision.verdict == "FIX FIRST" and f"({value:g}) stand beside 26 to" in decision.reservation


def test_cautions_of_one_code_keep_their_texts(tmp_path):
    points = read(tmp_path, "n,psnr,cautions\n10,28,caution [restarts]: A\n20,29,caution [restarts]: B\n40,30,\n")
    assert [item.text for item in points.findings if item.code == "restarts"] == ["A; B"]
