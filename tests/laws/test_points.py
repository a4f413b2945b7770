import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reconscale.errors import UserError
from reconscale.laws import METRICS, Points

QUICK = settings(derandomize=True, deadline=None, max_examples=20, database=None)

COLUMNS = ("n", "y", "seed", "p", "width", "validation", "images")


def test_metrics_are_read_as_errors_and_back():
    assert Points([1], [20.0], metric="psnr").error == pytest.approx(0.01)
    assert Points([1], [0.9], metric="ssim").error == pytest.approx(0.1)
    assert Points([1], [0.3]).error == 0.3
    lower = [name for name in METRICS if Points([1], [0.5], metric=name).better == "lower"]
    assert lower == ["error", "lpips", "nrmse", "nmse"]
    for name in METRICS:
        points = Points([1, 2], [0.25, 0.75], metric=name)
        np.testing.assert_allclose(points.to_metric(points.error), points.y, rtol=1e-12)


def test_a_gain_is_in_the_unit_of_its_metric():
    before, after = np.array([0.2]), np.array([0.1])
    assert METRICS["error"].gain(before, after) == pytest.approx(50)
    assert METRICS["lpips"].gain(after, before) == pytest.approx(-100)
    assert METRICS["accuracy"].gain(before, after) == pytest.approx(0.1)
    assert METRICS["psnr"].gain(before, after) == pytest.approx(10 * np.log10(2))
    assert METRICS["ssim"].gain(before, after) == pytest.approx(0.1)


def test_arrays_are_read_only_copies():
    n = np.array([1.0, 2.0])
    points = Points(n, [0.1, 0.2], [0, 1], [5, 6], width=[1, 2], images=[[0.1], [0.2]])
    n[0] = 99
    assert points.n[0] == 1
    for name in ("n", "y", "seed", "p", "width", "images"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(points, name)[0] = 3


def test_rows_keeps_every_column():
    points = Points([1, 2, 3], [0.1, 0.2, 0.3], [0, 1, 2], [5, 6, 7], images=[[1, 2], [3, 4], [5, 6]], profile="a")
    part = points.rows(points.n > 1)
    assert part.images.tolist() == [[3, 4], [5, 6]]
    assert (part.seed.tolist(), part.p.tolist(), part.profile, part.width) == ([1, 2], [6, 7], "a", None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"n": [], "y": []}, "n: is empty"),
        ({"n": [1, 2], "y": [1]}, r"y: found shape \(1,\); 2 numbers, as many as n has"),
        ({"n": [[1]], "y": [1]}, r"n: found shape \(1, 1\)"),
        ({"n": [1, 0], "y": [1, 1]}, "n, row 2: found 0; n must be above 0"),
        ({"n": [1e31], "y": [1]}, "at most 1e30"),
        ({"n": [1, np.nan], "y": [1, 1]}, "n, row 2: found nan; leave out runs that did not finish"),
        ({"n": [1], "y": [0]}, "found 0 as error; an error must be above 0; if these are dB say metric='psnr'"),
        ({"n": [1], "y": [31.0], "metric": "ssim"}, "SSIM must be below 1; if these are dB"),
        ({"n": [1], "y": [1e5], "metric": "psnr"}, "PSNR in dB is expected"),
        ({"n": [1], "y": [1], "metric": "mse"}, "found 'mse'; errors of any kind are 'error'"),
        ({"n": [1], "y": [1], "metric": "psn"}, "did you mean 'psnr'"),
        ({"n": [1], "y": [1], "seed": [0.5]}, "seed, row 1: found 0.5; a whole number"),
        ({"n": [1], "y": [1], "width": [-4]}, "width must be above 0"),
        ({"n": [1], "y": [1], "p": ["many"]}, "p: found something that is not a number"),
        ({"n": [1], "y": [1], "images": [1.0]}, r"images: found shape \(1,\)"),
        ({"n": [1], "y": [1], "images": [[0.0]]}, "a row of zeros"),
        ({"n": [1], "y": [1], "validation": [-1]}, "validation, row 1: found -1"),
    ],
)
def test_refusals(columns, message):
    with pytest.raises(UserError, match=message):
        Points(**columns)


@QUICK
@given(
    arrays(np.float64, (4, 3), elements=st.floats(1e-20, 1e20)),
    st.sampled_from(sorted(METRICS)),
    st.lists(st.integers(-(2**50), 2**50), min_size=4, max_size=4),
)
def test_csv_round_trip_is_exact(tmp_path_factory, values, metric, seeds):
    path = tmp_path_factory.mktemp("csv") / "points.csv"
    scale = 1.0 if METRICS[metric].is_error else {"psnr": 1e-18}.get(metric, 1e-21)
    y = np.maximum(values[:, 1] * scale, 1e-25)
    first = Points(
        values[:, 0],
        y,
        seeds,
        np.ceil(values[:, 2]),  # p counts parameters
        metric,
        width=[1, 2, 3, 4],
        validation=y[::-1],
        images=values,
        profile="v1, clipped",
        unit="volumes",
    )
    first.to_csv(path)
    again = Points.from_csv(path)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    metric = {"nmse": "error"}.get(metric, metric)  # a column 'nmse' has always been read as an error
    assert (again.metric, again.profile, again.unit) == (metric, "v1, clipped", "volumes")


def test_csv_round_trip_of_the_least(tmp_path):
    Points([1], [2]).to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "n,error\n1.0,2.0\n"
    again = Points.from_csv(tmp_path / "a.csv")
    assert [getattr(again, name) is None for name in COLUMNS] == [False, False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("text", "asked", "metric"),
    [
        ("n,PSNR\n1,30\n", None, "psnr"),
        ("n,nmse\n1,0.3\n", None, "error"),
        ("n,y\n1,0.3\n", "ssim", "ssim"),
        ("n,mse,psnr\n1,0.3,5\n", "mse", "error"),
        ("n,loss\n1,0.3\n", "error", "error"),
        ("\ufeffn , psnr,remark\n1,30,first\n\n2,31,second\n", None, "psnr"),
    ],
)
def test_the_metric_comes_from_the_column(tmp_path, text, asked, metric):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    assert Points.from_csv(path, asked).metric == metric


@pytest.mark.parametrize(
    ("content", "asked", "message"),
    [
        (b"", None, "is empty; write a header line"),
        (b"\n\n", None, "is empty"),
        (b"n,psnr\n", None, "has a header but no rows"),
        (b"n,psnr\n10,3\xff0\n", None, r"is not UTF-8 \(byte 11\); save it as CSV in UTF-8"),
        (b'n,psnr\n10,"30,5"\n', None, r"line 2, column 'psnr': found '30,5'; a number is expected; write 30.5"),
        (b"n,psnr\n10,30\n20,abc\n", None, r"line 3, column 'psnr': found 'abc'; a number is expected"),
        (b"n,psnr\n10,\n", None, "line 2, column 'psnr': found nothing"),
        (b"n,psnr\n10,nan\n", None, "line 2, column 'psnr': found nan; a finite number"),
        (b"n,psnr\n10,inf\n", None, "found inf; a finite number"),
        (b"n,psnr,psnr\n1,2,3\n", None, "column 'psnr' is there twice"),
        (b"n,psnr\n1,2\n3\n", None, "line 3: found 1 cells; the header has 2: n,psnr"),
        (b"size,psnr\n1,2\n", None, "there is no column 'n'"),
        (b"n,pnsr\n1,2\n", None, "there is no column 'psnr' but 'pnsr'; did you mean 'psnr'"),
        (b"n,psnr,sede\n1,2,3\n", None, "did you mean 'seed'"),
        (b"n|psnr\n1|2\n", None, "separate the columns by commas"),
        (b"n,quality\n1,2\n", None, "there is no column of measured values; add 'y' or one of 'error', 'loss'"),
        (b"n,y\n1,2\n", None, "does not say what they are; say metric='psnr'"),
        (b"n,psnr,ssim\n1,2,3\n", None, r"several metrics \('psnr', 'ssim'\); say which one"),
        (b"n,psnr\n1,30\n", "error", "holds 'psnr' where 'error' was expected; ask for metric='psnr'"),
        (b"n,remark\n1,30\n", "error", "no column 'error' and no column 'y'"),
        (b"n,y\n1,30\n", "pnsr", "did you mean 'psnr'"),
        (b"n,error\n1,-30\n", None, r"a.csv, Points, y, row 1: found -30 as error; an error must be above 0"),
        (b"n,psnr,seed\n1,30,0.5\n", None, "column 'seed': found 0.5; a whole number"),
        (
            b"n,psnr,profile\n1,30,a\n2,31,b\n",
            None,
            "line 3, column 'profile': found 'b' after 'a'; values measured in",
        ),
        (b'n,psnr\n1,"30\n', None, "is not CSV"),
    ],
)
def test_csv_refusals(tmp_path, content, asked, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        Points.from_csv(path, asked)


def test_a_missing_file_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        Points.from_csv(tmp_path / "none.csv")


def test_steps_are_a_column(tmp_path):
    """Written and read back; the column `step` of a log is something else and is left alone."""
    path = tmp_path / "a.csv"
    Points([1, 2], [3, 2], steps=[100, 200]).to_csv(path)
    again = Points.from_csv(path)
    assert again.steps.tolist() == [100, 200] and again.rows([1]).steps.tolist() == [200]
    path.write_text("n,error,step\n1,3,0\n2,2,7\n")
    assert Points.from_csv(path).steps is None
    with pytest.raises(UserError, match="steps"):
        Points([1], [2], steps=[0])


def test_steps_that_nobody_trains_are_refused(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("n,seed,psnr,steps\n10,0,25,1000\n10,0,25.5,1e20\n100,0,26,1000\n")
    with pytest.raises(UserError, match=r"steps, row 2: found 1e\+20; steps of training are 1e\+12 at most"):
        Points.from_csv(path)
    assert Points([10], [25.0], metric="psnr", steps=[1e12]).steps.tolist() == [1e12]
