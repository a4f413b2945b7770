"""Exports of trackers as one CSV, imitated from their pages and ``to_csv``."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale import UserError
from reconscale.importers import ColumnMapping, import_logs
from reconscale.laws import Points
from reconscale.laws.repeated_rows import at_their_most_steps

MLFLOW = """Start Time,Duration,Run ID,Name,Source Type,User,Status,lr,n_train,seed,test_psnr
2024-01-01 10:00:00,1.2h,ab12,unet-1,LOCAL,me,FINISHED,0.001,100,0,30.85
2024-01-01 11:00:00,3min,ab13,unet-2,LOCAL,me,{status},0.001,300,0,24.90
"""
SEARCHED = """run_id,status,metrics.test_psnr,params.n_train,params.seed,tags.mlflow.runName
ab12,FINISHED,30.85,100,0,unet-1
ab13,{status},24.9,300,0,unet-2
"""
OPTUNA = """,number,value,datetime_start,params_n_train,params_width,user_attrs_seed,state
0,0,30.85,a,100,32,0,COMPLETE
1,1,24.9,b,300,32,0,{status}
"""
TABLE = "run,train_size,psnr,state\na,100,30.85,done\nb,300,24.9,{status}\n"


@pytest.mark.parametrize(
    "text, title, asked",
    [
        (MLFLOW, "MLflow runs", {}),
        (SEARCHED, "MLflow runs", {}),
        (OPTUNA, "Optuna trials", {"value": "value", "metric": "psnr"}),
        (TABLE, "table of runs", {}),
    ],
)
@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING", "PRUNED", "FAIL", "TrialState.PRUNED", "stopped"])
def test_runs_that_did_not_finish(tmp_path: Path, text: str, title: str, asked: dict[str, str], status: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(text.format(status=status))
    made = import_logs(path, **asked)  # type: ignore[arg-type]
    assert made.title == title and [row[0] for row in made.rows] == [100]
    (skipped,) = made.skipped
    word = {"MLflow runs": "FINISHED", "Optuna trials": "COMPLETE"}.get(title, "done")
    assert f"is '{status}'; write '{word}' there" in skipped.reason
    assert skipped.name in ("unet-2", "trial 1", "b")


def test_settings_of_optuna_are_known_with_and_without_their_prefix(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(OPTUNA.format(status="COMPLETE"))
    for key in ("n_train", "params_n_train"):
        made = import_logs(path, value="value", metric="psnr", labelling=ColumnMapping({"n": key}))
        assert made.header == ("n", "width", "seed", "psnr", "run") and len(made.rows) == 2


def test_a_project_with_dictionaries(tmp_path: Path) -> None:
    """As the snippet in W&B's documentation writes it: Python's own spelling, not JSON."""
    path = tmp_path / "project.csv"
    path.write_text(
        ",summary,config,name\n"
        "0,\"{'psnr': 30.85, '_step': 99, 'loss': nan}\",\"{'data': {'n_train': 100}, 'seed': 0}\",a\n"
        '1,"{""psnr"": 31.27}","{""data"": {""value"": {""n_train"": 300}, ""desc"": null}, ""seed"": 1}",b\n'
        "2,\"{'psnr': <object>}\",{},c\n"
    )
    made = import_logs(path)
    assert made.title == "W&B exports"
    assert made.header == ("n", "seed", "psnr", "run") and made.rows[0] == (100, 0, 30.85, "a")
    assert [str(run) for run in made.skipped] == ["skipped c: its summary cannot be read as a dictionary"]
    assert made.rows[1][0] == 300


def test_many_rows_a_run(tmp_path: Path) -> None:
    path = tmp_path / "trackio.csv"
    path.write_text(
        "timestamp,run_name,step,metrics,config\n"
        't,a,1,"{""psnr"": 29.0}","{""n_train"": 100}"\nt,a,2,"{""psnr"": 30.0}","{""n_train"": 100}"\n'
        't,b,1,"{""psnr"": 31.0}","{""n_train"": 300}"\nt,b,2,"{""psnr"": 30.5}","{""n_train"": 300}"\n'
    )
    made = import_logs(path)
    assert made.title == "Trackio runs" and made.rows == ((100, 30.0, "a", "2"), (300, 30.5, "b", "2"))
    path.write_text("run,epoch,n_train,psnr\na,1,100,29\na,2,100,30\nb,1,300,30\nb,2,300,31\n")
    assert import_logs(path).rows == ((100, 30, "a", "2"), (300, 31, "b", "2"))


def test_thousands_in_an_export(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("train_size,psnr\n300,31.2\n1.000,31.6\n")
    with pytest.raises(UserError, match="column 'n': found '1.000' beside '300'"):
        import_logs(path)


@pytest.mark.parametrize("column", ["test/psnr.max", "best_psnr", "PSNR_best", "max_psnr"])
def test_extremes_of_runs(tmp_path: Path, column: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(f"n,{column}\n100,30\n300,31\n")
    made = import_logs(path)
    assert [item.code for item in made.findings] == ["selected-on-test"] and "last value" not in str(made.measure)


def test_any_kind_of_table_may_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("n,psnr\n100,30\n300,31\n")
    assert import_logs(path, kind="wandb").title == "W&B exports"


def test_epochs_without_names_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("n_train,epoch,psnr\n100,1,29\n100,2,30\n300,1,30\n300,2,31\n")
    with pytest.raises(UserError, match="row 3: differs from an earlier row in 'epoch', .* add a column 'run'"):
        import_logs(path)
    path.write_text("n_train,epoch,psnr\n100,90,29\n300,80,30\n")
    assert len(import_logs(path).rows) == 2


def test_files_put_together_with_their_headers(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("n,psnr\n100,30\nn,psnr\n300,31\n")
    assert [row[0] for row in import_logs(path).rows] == [100, 300]


def test_a_line_plot_of_groups(tmp_path: Path) -> None:
    """The page exports means over the runs of a group, with the least and the greatest beside them."""
    path = tmp_path / "export.csv"
    path.write_text(
        "Step,n100 - psnr,n100 - psnr__MIN,n100 - psnr__MAX,n300 - psnr,n300 - psnr__MIN,n300 - psnr__MAX\n"
        "1,29,28,30,31,31,31\n2,30,29.5,30.5,32,32,32\n"
    )
    made = import_logs(path, labelling=ColumnMapping(pattern="n{n}"))
    (caution,) = made.findings
    assert caution.code == "means-of-several" and "1 of 2 runs" in caution.text and "psnr: 29.5 to 30.5" in caution.text


def test_further_metrics_stand_back(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("n,test_psnr,test_lpips\n100,30,0.3\n300,31,0.2\n")
    assert import_logs(path).header == ("n", "psnr", "run")
    assert import_logs(path, metric="lpips").header == ("n", "lpips", "run")
    path.write_text("n,val_accuracy\n100,0.8\n300,0.9\n")
    assert import_logs(path).header == ("n", "accuracy", "run")


def test_runs_with_another_test_set_at_another_n(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = "a,100,{0},1,30.85\nb,300,{0},1,31.27\nc,1000,{1},2,31.61\n"
    header = "run,n_train,data.{0},augment.scale,psnr\n"
    for name, one, other in (("test_set", "set5", "set14"), ("n_test", "50", "100")):
        path.write_text(header.format(name) + rows.format(one, other))
        with pytest.raises(UserError, match=f"'data.{name}': found '{one}' .a. and '{other}' .c. at different n"):
            import_logs(path)
        path.write_text(header.format(name) + rows.format(one, one))
        assert len(import_logs(path).rows) == 3


def test_units_of_n_and_p(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("# of last week\nrun,n (k),params (M),psnr\na,0.1,1.5,30.85\nb,1,1.5,31.27\n")
    for asked in (ColumnMapping(), ColumnMapping({"n": "n (k)", "p": "params (M)"})):
        assert import_logs(path, labelling=asked).rows == ((100, 1500000, 30.85, "a"), (1000, 1500000, 31.27, "b"))


def test_cautions_stay_with_the_rows_that_are_written(tmp_path: Path) -> None:
    path, out = tmp_path / "export.csv", tmp_path / "points.csv"
    path.write_text(
        "run,epoch,n_train,lr,psnr.max\na,1,100,1,29\na,9,100,1,30\nb,1,300,2,30\nb,5,300,2,31\nc,9,900,2,32\n"
    )
    made = import_logs(path)
    made.to_csv(out)
    said = {item.code for item in made.findings}
    assert said == {"selected-on-test", "steps-differ", "recipe-follows-n"}
    assert "cautions" not in made.header and {item.code for item in Points.from_csv(out).findings} == said
    lines = out.read_text().splitlines()
    out.write_text("\n".join([lines[0], *lines[2:]]))  # whichever row is deleted in a spreadsheet
    assert {item.code for item in Points.from_csv(out).findings} == said
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(out)
    assert len(frame) == 2 and {item.code for item in Points.from_dataframe(frame).findings} == said


def test_without_cautions_there_is_no_column_of_them(tmp_path: Path) -> None:
    path, out = tmp_path / "export.csv", tmp_path / "points.csv"
    path.write_text("run,n_train,psnr\na,100,30\nb,300,31\n")
    import_logs(path).to_csv(out)
    assert out.read_text().splitlines()[0] == "n,psnr,run"


def test_what_is_no_psnr_may_be_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("run,n_train,psnr\na,100,0.81\nb,300,0.85\n")
    for asked in ({}, {"value": "psnr"}):
        made = import_logs(path, metric="ssim", **asked)
        assert made.header == ("n", "ssim", "run") and made.rows[0][1] == 0.81
    path.write_text("run,n_train,psnr\na,100,0.81\nb,300,30.1\n")
    with pytest.raises(UserError, match="no series is named after ssim"):
        import_logs(path, metric="ssim")
    with pytest.raises(UserError, match="found ssim for 'psnr', which is named psnr"):
        import_logs(path, metric="ssim", value="psnr")


def test_settings_of_optuna_are_called_as_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(OPTUNA.format(status="COMPLETE"))
    made = import_logs(path, value="value", metric="psnr")
    assert made.origins["width"] == "setting 'params_width'" and made.findings == ()
    path.write_text(OPTUNA.format(status="COMPLETE").replace("params_width", "params_sigma"))
    assert len(import_logs(path, value="value", metric="psnr").rows) == 2
    path.write_text(OPTUNA.format(status="COMPLETE").replace("params_width", "params_sigma").replace("300,32", "300,9"))
    made = import_logs(path, value="value", metric="psnr")
    assert len(made.rows) == 2, "a sigma that never comes back may be anything"


def test_times_and_clocks_of_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "run,timestamp,n_train,psnr\na,2024-01-02,100,30\na,2024-01-01,100,29\nb,2024-01-01,300,30\nb,2024-01-02,300,31\n"
    )
    assert [row[1] for row in import_logs(path).rows] == [30, 31]
    path.write_text("run,epoch_idx,n_train,psnr\na,1,100,29\na,2,100,30\nb,1,300,30\nb,2,300,31\n")
    assert import_logs(path).rows == ((100, 30, "a", "2"), (300, 31, "b", "2"))
    path.write_text("n_train,epoch,step,psnr\n100,1,10,29\n100,2,20,30\n")
    with pytest.raises(UserError, match="differs from an earlier row in 'step' and 'epoch', and no column names"):
        import_logs(path)


def test_a_series_that_chooses_itself(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("run,epoch,n_train,psnr\na,1,100,30\na,2,100,29\nb,1,300,30\nb,2,300,31\n")
    (found,) = (item for item in import_logs(path, choose_by="psnr").findings if item.code == "selected-on-test")
    assert "'psnr' is the reported series itself: name one that" in found.text and "--choose-by" not in found.text
    (found,) = (item for item in import_logs(path, take="best").findings if item.code == "selected-on-test")
    assert found.text.endswith("name a validation series by --choose-by")


def test_exit_codes(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("run,n_train,psnr,exit_code\na,100,30,0\nb,300,20,1\n")
    made = import_logs(path)
    assert [row[0] for row in made.rows] == [100] and made.findings == ()
    assert made.skipped[0].reason == "its exit_code is '1'; write '0' there to keep it"


def test_cautions_of_an_imported_table_stay_when_it_is_imported_again(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("n,seed,psnr,run,cautions\n100,0,30.8,a,warning [selected-on-test]: A\n300,0,31.2,b,\n")
    assert [(item.code, item.text) for item in import_logs(path).findings] == [("selected-on-test", "A")]


@pytest.mark.parametrize("name", ["steps", "Steps"])
def test_steps_of_trainings_of_several_lengths_are_kept(tmp_path: Path, name: str) -> None:
    path, out = tmp_path / "table.csv", tmp_path / "points.csv"
    rows = [(n, steps, 20 + n**0.3 + steps / 1e4) for n in (10, 30, 100) for steps in (1000, 2000)]
    path.write_text(f"run,n,seed,{name},psnr\n" + "".join(f"n{n}_{steps},{n},0,{steps},{y}\n" for n, steps, y in rows))
    made = import_logs(path)
    made.to_csv(out)
    assert made.header == ("n", "seed", "psnr", "steps", "run") and not made.findings
    points = at_their_most_steps(Points.from_csv(out))
    assert points.y.tolist() == [y for _, steps, y in rows if steps == 2000] and points.trainings is not None
