"""Templates of the cautions about tables: how rows came about, and what their values may be."""

from __future__ import annotations

TABLE_CODES: dict[str, tuple[str, str]] = {
    "copies": (
        "note",
        "{count} of the rows repeat the n and the value of another row without a seed; they count once",
    ),
    "repeated-rows": (
        "caution",
        "{count} of the rows repeat the n, the network, the seed and the value of another row; they are the same runs, "
        "and count once",
    ),
    "same-labels": (
        "caution",
        "{count} rows have {labels} and different values ({values}); they are counted as replicates, so if one of them "
        "is a restart of another, or was measured on something else, keep only the one that holds",
    ),
    "rows-left-out": (
        "caution",
        "{count} of {rows} rows are left out, because their runs did not finish ({which})",
    ),
    "last-of-training": (
        "caution",
        "rows of one training differ in '{column}'; the last of each counts, {kept} of {rows} rows",
    ),
    "times-as-replicates": (
        "caution",
        "rows of one n differ in '{column}' (lines {line} and {other}) and count as replicates; if they are one "
        "training at several times, keep the last one, or add a column 'seed'",
    ),
    "steps-differ": (
        "caution",
        "the last values are from {clock} {low:g} to {high:g}; where runs were broken off, what looks like an effect "
        "of n is one of the training, so leave them out or take all at {low:g}",
    ),
    "restarts": (
        "caution",
        "in {count} of {runs} runs attempts at the training overlap ({first}); the later attempt counts from where it "
        "begins",
    ),
    "logs-cut": (
        "note",
        "in {count} of {runs} runs a log ends in the middle ({first}); what is before it counts",
    ),
    "means-of-several": (
        "caution",
        "in {count} of {runs} runs values are means of several ({first}), over steps or over a group of runs; the "
        "table of runs, without groups, is exact",
    ),
    "looks-like-ssim": (
        "warning",
        "values between {low:.3g} and {high:.3g} are no PSNR in dB of a reconstruction; they look like SSIM, or like "
        "an error: {first}rename the column so, or say --metric ssim or --metric error (metric='ssim' in Python)",
    ),
    "mixed-scales": (
        "warning",
        "values of another scale ({alien}) stand beside {usual}: {why}; correct them, or leave their rows out",
    ),
    "psnr-of-equal-images": (
        "warning",
        "{count} of {runs} values are {value:.4g} dB or near it, which is the PSNR of an image and itself, or a cap",
    ),
    "psnr-of-another-range": (
        "caution",
        "values between {low:.4g} and {high:.4g} dB are no usual PSNR of reconstructions; {why}: gains are the same "
        "with another range, the values and forecasts are not",
    ),
    "n-not-whole": (
        "warning",
        "n holds {value:.4g}, which is no number of images; if these are logarithms or thousands write the numbers "
        "themselves, or doubling n means something else here; else say in a column 'unit' what n counts",
    ),
    "p-not-whole": (
        "warning",
        "p holds {value:.4g}, which is no number of parameters; if these are millions name the column 'params (M)', or "
        "whatever is said about network sizes is wrong by that factor",
    ),
    "spread-unused": (
        "caution",
        "'{column}' says how far runs scatter, and is not used: give every run a row of its own, with its seed, and "
        "the spread between seeds is known",
    ),
    "extreme-unused": (
        "note",
        "the values are those of '{column}'; '{other}' beside it is an extreme of each run, and is not used",
    ),
    "scale-applied": (
        "note",
        "the numbers of '{column}' are read times {factor:g}, as its name says",
    ),
    "recipe-follows-n": (
        "caution",
        "'{column}' changes from one n to another ({first} at n = {low:size}, {last} at n = {high:size}), so what it "
        "does and what the data do cannot be told apart: train all n with the same",
    ),
    "mixed-recipes": (
        "caution",
        "'{column}' has several values ({values}) at one n, and such rows are counted as replicates: keep the rows of "
        "one of them, and compare files with `reconscale compare`",
    ),
}
"""Code -> (severity, template), as in :data:`.findings.CODES`, which holds them."""
