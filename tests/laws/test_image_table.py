import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws.image_table import is_image_table, read_image_table


def write(tmp_path, text):
    path = tmp_path / "images.csv"
    path.write_text(text)
    return path


def test_a_column_for_each_method(tmp_path):
    path = write(tmp_path, "image,unet,swinir\na,30,31\nb,28,28.5\n")
    table = read_image_table(path, "psnr")
    assert table.metric == "psnr" and list(table.methods) == ["unet", "swinir"]
    assert table.methods["swinir"].values.tolist() == [[31.0, 28.5]] and table.methods["unet"].names == ("a", "b")
    assert is_image_table(path)


def test_a_row_for_each_method_and_image(tmp_path):
    table = read_image_table(write(tmp_path, "method,image,psnr\nu,a,30\nu,b,28\ns,b,29\ns,a,31\n"))
    assert table.metric == "psnr" and table.methods["s"].names == ("b", "a")


def test_patients_count(tmp_path):
    text = "patient,slice,A,B\n" + "".join(f"p{k // 5},{k},{30 + k % 5},{31 + k % 5}\n" for k in range(20))
    table = read_image_table(write(tmp_path, text), "psnr")
    assert table.methods["A"].counted == "4 patients" and np.allclose(table.methods["B"].values, 33)


def test_names_tell_patients_and_volumes(tmp_path):
    rows = "".join(f"sub-{k // 3:02d}_slice{k}.png,{k},{k + 1}\n" for k in range(9))
    assert read_image_table(write(tmp_path, "image,A,B\n" + rows), "psnr").methods["A"].counted == "3 patients"
    rows = "".join(f"x.h5/{k // 3}/{k % 3:03d},{k},{k + 1}\n" for k in range(9))
    assert read_image_table(write(tmp_path, "image,A,B\n" + rows), "psnr").methods["A"].counted == "3 volumes"


def test_the_images_of_a_run(tmp_path):
    text = "set,image,mse,psnr-y,ssim\nval,v,1,2,3\ntest,a,0.1,30,0.8\ntest,b,0.2,29,0.7\n"
    table = read_image_table(write(tmp_path, text), "psnr-y")
    assert table.metric == "psnr" and table.methods["images"].values.tolist() == [[30.0, 29.0]]
    with pytest.raises(UserError, match="several metrics"):
        read_image_table(write(tmp_path, text))
    with pytest.raises(UserError, match="there is no test set 'x'"):
        read_image_table(write(tmp_path, text), "ssim", "x")


def test_runs_are_no_images(tmp_path):
    assert not is_image_table(write(tmp_path, "n,psnr\n10,30\n30,31\n"))
    assert not is_image_table(write(tmp_path, "n_train,psnr\n10,30\n"))


@pytest.mark.parametrize(
    ("text", "metric", "words"),
    [
        ("image,unet,swinir\na,30,31\n", None, "does not say what its values are"),
        ("image,unet,swinir\na,30,\nb,30,1\n", "psnr", "line 2, column 'swinir'.*found nothing"),
        ("image,unet,swinir\na,30,1\nb,30,nan\n", "psnr", "found 'nan'"),
        ("image,unet,swinir\na,30,31\na,30,31\n", "psnr", "has the image 'a' twice"),
        ("image,unet,unet\na,30,31\n", "psnr", "column 'unet' is there twice"),
        ("image,unet\na,30,31\n", "psnr", "found 3 cells"),
        ("image,unet\n", "psnr", "has no rows"),
        ("", "psnr", "has no rows"),
        ("image,note\na,good\n", "psnr", "no column of values"),
        ("set,image,a,b\ns,x,1,2\nt,x,1,2\n", "psnr", "holds the test sets s, t"),
        ("image,psnr-y,psnr-rgb,ssim\nx,1,2,0.5\n", "psnr", "several metrics"),
    ],
)
def test_refused(tmp_path, text, metric, words):
    with pytest.raises(UserError, match=words):
        read_image_table(write(tmp_path, text), metric)


def column(values):
    return "image,A,B\n" + "".join(f"i{k},{a},{b}\n" for k, (a, b) in enumerate(values))


@pytest.mark.parametrize(
    ("values", "metric", "words"),
    [
        ([(32.1, 32.5), (30.2, 30.9)], "ssim", "above 1, which are no SSIM.*--metric psnr"),
        ([(0.81, 0.82), (0.9, 0.91)], "psnr", "no PSNR in dB.*--metric ssim"),
        ([(30.1, 0.9), (30.2, 0.91)], "psnr", "two scales .A: 30.1 to 30.2, B: 0.9 to 0.91"),
        ([(30.1, 0.9), (30.2, 0.91)], "ssim", "some are of another scale"),
    ],
)
def test_values_of_another_scale_are_refused(tmp_path, values, metric, words):
    with pytest.raises(UserError, match=words):
        read_image_table(write(tmp_path, column(values)), metric)


def test_a_failed_image_and_an_ssim_rounded_above_1_are_taken(tmp_path):
    assert read_image_table(write(tmp_path, column([(30.1, 3.2), (31.2, 30.3)])), "psnr").metric == "psnr"
    assert read_image_table(write(tmp_path, column([(1.0, 1.0001), (0.9, 0.8)])), "ssim").metric == "ssim"


def test_labels_are_no_methods(tmp_path):
    head = "image,n_pixels,Unnamed: 0,unet,Fold,swinir,stars\n"
    rows = "".join(f"i{k},{40 + k},{k},{30.1 + k},{k % 3},{30.2 + k},{k}\n" for k in range(6))
    table = read_image_table(write(tmp_path, head + rows), "psnr")
    assert list(table.methods) == ["unet", "swinir"]
    assert table.left_out == ("n_pixels", "Unnamed: 0", "Fold", "stars")
    rows = "".join(f"i{k},{20 + k},{30 + k}\n" for k in range(6))
    assert list(read_image_table(write(tmp_path, "image,A,B\n" + rows), "psnr").methods) == ["A", "B"], "all are whole"
