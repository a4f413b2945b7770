"""Names of columns that say more than which they are: scales, settings of a training, spreads, doubles."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import decide

from .test_tables import codes, read

ERRORS = "100,3.1,0\n300,2.6,0\n1000,2.2,0\n3000,2.0,0\n"
SHARES = "100,85.1,0\n300,88.6,0\n1000,91.2,0\n3000,92.0,0\n"


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("MSE (x1e-3)", 1e-3), ("MSE (×10^-3)", 1e-3), ("mse [1e-3]", 1e-3), ("test MSE (×10⁻³)", 1e-3),
        ('"NMSE (test, x 10^-2)"', 1e-2), ("nmse (e-3)", 1e-3), ("MSE / 10^-4", 1e-4), ("MSE/1e-3", 1e-3),
        ("1000*MSE", 1e-3), ("10^3 × MSE", 1e-3), ("1e4 x mse", 1e-4), ("10³ mse", 1e-3), ("NMSE (%)", 1e-2),
        ("nrmse [%]", 1e-2), ("nmse_percent", 1e-2), ("MSE", 1), ("mse (test)", 1), ("test/mse", 1), ("mse (1000)", 1),
        ("nmse (x4)", 1), ("mse (lr 1e-3)", 1),
    ],
)  # fmt: skip
def test_a_scale_of_an_error_is_applied_and_said(tmp_path, name, factor):
    points = read(tmp_path, f"n,{name},seed\n{ERRORS}")
    np.testing.assert_allclose(points.y, factor * np.array([3.1, 2.6, 2.2, 2.0]))
    assert ("scale-applied" in codes(points)) == (factor != 1)


@pytest.mark.parametrize("name", ["SSIM (%)", "ssim [%]", "accuracy (%)", "dice %", "100 x ssim", "IoU_percent"])
def test_per_cent_of_a_bounded_metric(tmp_path, name):
    points = read(tmp_path, f"n,{name},seed\n{SHARES}")
    np.testing.assert_allclose(points.y, [0.851, 0.886, 0.912, 0.92])
    assert decide(points).gain_n.median < 0.02


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("MSE (x1e3)", ERRORS, "'mse [(]x1e3[)]', with a scale that may be meant in two ways; .* in a column 'mse'"),
        ("mse x1000", ERRORS, "in two ways"),
        ("mse×10^-3", ERRORS, "in two ways"),
        ("mse_e-3", ERRORS, "in two ways"),
        ("SSIM (x100)", SHARES, "in two ways"),
        ("PSNR (x1e-1)", SHARES, "in two ways.* in a column 'psnr'"),
        ("NMSE (dB)", ERRORS, "with dB as the unit of what is no PSNR; write the values themselves"),
        ("ssim [dB]", ERRORS, "with dB as the unit"),
        ("SSIM (%)", "100,0.851,0\n300,0.9,0\n", "no number above 1, so the scale seems to be applied"),
        ("1-SSIM", ERRORS, "'1-ssim', which is an error; name the column 'error'"),
        ("1 - Dice", ERRORS, "which is an error"),
        ("-log10(MSE)", ERRORS, "there is no column of measured values"),
        ("psnr gain", ERRORS, "there is no column of measured values"),
        ("mse improvement", ERRORS, "there is no column of measured values"),
    ],
)
def test_what_may_be_meant_in_two_ways_is_asked(tmp_path, name, rows, said):
    with pytest.raises(UserError, match=said):
        read(tmp_path, f"n,{name},seed\n{rows}")


def test_validation_is_in_the_same_metric_and_single_images_are_asked_about(tmp_path):
    points = read(tmp_path, "n,mse (x1e-3),validation\n100,3,4\n300,2,3\n")
    np.testing.assert_allclose(points.validation, [4e-3, 3e-3])
    with pytest.raises(UserError, match="nothing says whether it is theirs too"):
        read(tmp_path, "n,mse (x1e-3),image_1\n100,3,4\n300,2,3\n")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("ema", "0 0 0.999 0.999", "'ema' changes from one n to another (0 at n = 100, 0.999 at n = 3,000)"),
        ("train.batch_size", "4 8 16 32", "(4 at n = 100, 32 at n = 3,000)"),
        ("lr", "1e-3 1e-3 1e-3 5e-4", "(1e-3 at n = 100, 5e-4 at n = 3,000)"),
        ("use_flips", "False False False True", "(False at n = 100, True at n = 3,000)"),
        ("with_tricks", "no yes yes no", "(no at n = 100, yes at n = 1,000)"),
        ("loss_function", "l1 l1 l2 l2", "(l1 at n = 100, l2 at n = 3,000)"),
        ("ema", "0.999 0.999 0.999 0.999", ""),
        ("epochs", "1000 300 100 30", ""),
        ("train_loss", "0.1 0.2 0.2 0.2", ""),
        ("perceptual_loss", "0.1 0.2 0.2 0.2", ""),
        ("grad_norm", "0.1 0.1 0.2 0.2", ""),
        ("host", "a a b b", ""),
    ],
)
def test_a_setting_that_changes_along_n_is_a_caution(tmp_path, name, values, said):
    cells = zip(ERRORS.split(), values.split(), strict=True)
    points = read(tmp_path, f"n,mse,seed,{name}\n" + "".join(f"{row},{cell}\n" for row, cell in cells))
    texts = [item.text for item in points.findings if item.code == "recipe-follows-n"]
    assert len(texts) == bool(said) and said in "".join(texts)


def test_two_recipes_at_one_n_are_no_replicates(tmp_path):
    rows = "".join(f"{n},{0.1 / n**0.5 * (1 + 0.02 * ema)},0,{ema}\n" for n in (100, 300, 1000) for ema in (0, 1))
    (mixed,) = [f.text for f in read(tmp_path, f"n,mse,seed,ema\n{rows}").findings if f.code == "mixed-recipes"]
    assert mixed.startswith("'ema' has several values (0, 1) at one n")
    seeds = rows.replace(",0,1\n", ",1,1\n")  # a coin that fell otherwise for another seed is no recipe along n
    assert "recipe-follows-n" not in codes(read(tmp_path, f"n,mse,seed,ema\n{seeds}"))


def test_two_columns_of_one_name_as_pandas_writes_them(tmp_path):
    for name in ("mse", "n", "seed"):
        table = "n,mse,seed\n" + ERRORS
        twice = table.replace("seed\n", f"seed,{name}.1\n").replace(",0\n", ",0,7\n")
        with pytest.raises(UserError, match=f"found '{name}' and '{name}.1', two columns of one name"):
            read(tmp_path, twice)
    same = "n,mse,mse.1\n100,3,3\n300,2,2\n"
    assert len(read(tmp_path, same)) == 2 and len(
        read(tmp_path, same.replace("mse.1", "time.1").replace(",2\n", ",9\n"))
    )


def test_a_spread_beside_means_is_said_to_be_unused(tmp_path):
    means = "n,psnr_mean,psnr_std\n100,30,0.1\n300,31,0.1\n1000,31.5,0.1\n"
    assert "spread-unused" in codes(read(tmp_path, means))
    assert "spread-unused" not in codes(read(tmp_path, means.replace("psnr_std", "time_std")))


def test_one_network_counted_in_two_ways_does_not_grow(tmp_path):
    rows = "100,30,1000000\n300,31,1000000\n1000,31.5,1000500\n3000,31.8,1000500\n"
    found = [item.code for item in decide(read(tmp_path, f"n,psnr,p\n{rows}")).findings]
    assert "p-follows-n" not in found and "p-assumed" not in found
    grown = [item.code for item in decide(read(tmp_path, f"n,psnr,p\n{rows.replace('1000500', '4000000')}")).findings]
    assert "p-follows-n" in grown


def test_a_mark_of_thousands_in_a_count_is_no_decimal(tmp_path):
    with pytest.raises(UserError, match="found '1,000'; a number is expected; write 1000$"):
        read(tmp_path, 'n,psnr\n100,30\n"1,000",31\n')


def test_logarithms_of_n_are_no_numbers_of_images(tmp_path):
    table = "n,psnr\n2,30\n2.48,31\n3,31.5\n3.48,31.8\n"
    assert "n-not-whole" in codes(read(tmp_path, table))
    hours = table.replace("psnr\n", "psnr,unit\n", 1).replace("30\n", "30,hours\n").replace("31\n", "31,hours\n")
    hours = hours.replace("31.5\n", "31.5,hours\n").replace("31.8\n", "31.8,hours\n")
    assert "n-not-whole" not in codes(read(tmp_path, hours))


def test_a_cell_that_is_no_number_is_named(tmp_path):
    """And not that there is no column of measured values."""
    for cell, says in (("", "found nothing"), ("abc", "found 'abc'"), ("nan", "found nan"), ("2.1 dB", "write 2.1, ")):
        with pytest.raises(UserError, match=f"line 3, column 'mse .x1e-3.': .*{says}"):
            read(tmp_path, f"n,mse (x1e-3)\n100,2.1\n300,{cell}\n")


def test_a_value_that_cannot_be_after_its_scale(tmp_path):
    with pytest.raises(UserError, match=r"found 1.3 as ssim \(the scale in 'ssim \(%\)' is applied\); SSIM must be"):
        read(tmp_path, "n,ssim (%)\n100,85\n300,130\n")
