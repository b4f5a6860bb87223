"""Reads kept predictions as docs/DESIGN.md says, and recomputes from them what nmlbench makes of them.

usage: predictions_check.py NMLBENCH DATABASE. Exports, accuracies and confusion matrices agree; so do McNemar's test, its
clustered form and the bootstrap of `leaderboard --paired samples`, written from docs/STATISTICS.md.
"""
import collections
import io
import json
import pathlib
import re
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
from scipy import stats

DESIGN = pathlib.Path(__file__).parents[2] / "docs/DESIGN.md"


def output(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def answers_of(database):
    """(cell, test set) -> labels, predicted, p_true: by the code of docs/DESIGN.md itself."""
    code = re.search(r"```python\n(.*?v_predictions.*?)```", DESIGN.read_text(), re.S)[1]
    found = {}
    exec(code.replace("nmlbench.sqlite", database) + "    found[cell, test_set] = labels, predicted, p_true\n",
         {"found": found})
    return found


def check_exports(program, database, answers):
    frame = pd.read_csv(io.StringIO(output(program, "export", "--db", database, "--table", "predictions")))
    assert len(frame) == sum(len(labels) for labels, _, _ in answers.values()) > 0
    for key, rows in frame.groupby(["cell_id", "test_set"]):
        labels, predicted, p_true = answers[key]
        assert (rows["sample"].to_numpy() == np.arange(len(labels))).all()
        assert (rows["label"].to_numpy() == labels).all() and (rows["predicted"].to_numpy() == predicted).all()
        assert np.abs(rows["p_true"].to_numpy() - p_true).max() < 1e-4


def check_metrics(connection, answers):
    accuracies = connection.execute("SELECT cell_id, test_set, value FROM v_results WHERE metric = 'accuracy'").fetchall()
    assert len(accuracies) == len(answers)
    for cell, test_set, value in accuracies:
        labels, predicted, _ = answers[cell, test_set]
        assert abs((labels == predicted).mean() - value) < 1e-12
    confusion = collections.Counter()
    for cell, test_set, label, predicted, samples in connection.execute("SELECT * FROM v_confusion"):
        confusion[cell, test_set, label, predicted] = samples
    for (cell, test_set), (labels, predicted, _) in answers.items():
        for pair, count in collections.Counter(zip(labels.tolist(), predicted.tolist())).items():
            assert confusion[cell, test_set, *pair] == count


def shares_of(cells, answers, keys, baseline, kind):
    """What each sample adds to the difference of a row and the baseline, by sample set; cells have all tasks and seeds."""
    own = cells[(cells[keys] == pd.Series(dict(zip(keys, baseline[0])))).all(axis=1) & (cells["test_kind"] == kind)]
    other = cells[(cells[keys] == pd.Series(dict(zip(keys, baseline[1])))).all(axis=1) & (cells["test_kind"] == kind)]
    pairs = own.merge(other, on=["task", "fraction", "seed", "test_set"], suffixes=("", "_b"))
    weight = 1 / (pairs.groupby(["task", "seed"]).ngroups * pairs.groupby(["task", "seed"])["test_set"].transform("size"))
    shares = {}
    for w, pair in zip(weight, pairs.itertuples()):
        labels, predicted, _ = answers[pair.cell_id, pair.test_set]
        _, theirs, _ = answers[pair.cell_id_b, pair.test_set]
        share = w / len(labels) * ((predicted == labels).astype(float) - (theirs == labels))
        shares[pair.digest] = shares.get(pair.digest, 0) + share
    return shares


def p_value(shares):
    values = np.concatenate(list(shares.values()))
    values = values[np.abs(values) > 1e-9 * np.abs(values).max()]
    if len(values) == 0:
        return 1.0
    if np.allclose(np.abs(values), np.abs(values).max()):
        return stats.binomtest(int((values > 0).sum()), len(values)).pvalue
    if len(values) <= 40:  # all patterns of signs, by the sums that they give
        units, patterns = values / np.abs(values).max(), collections.Counter([0.0])
        for unit in units:
            patterns = sum((collections.Counter({round(total + sign * unit, 7): count for total, count in patterns.items()})
                            for sign in (1, -1)), collections.Counter())
        far = sum(count for total, count in patterns.items() if abs(total) >= abs(units.sum()) - 1e-5)
        return far / 2 ** len(values)
    return 2 * stats.norm.sf(abs(values.sum()) / np.sqrt((values**2).sum()))


def bootstrap(shares):
    random = np.random.default_rng(1)
    sums = sum(random.choice(set_, (4000, len(set_))).sum(1) for set_ in shares.values())
    return np.quantile(sums, [0.025, 0.975])


def check_tests(program, database, connection, answers):
    cells = pd.read_sql("SELECT v.*, samples_digest AS digest FROM v_results v JOIN v_predictions USING (cell_id, test_set)"
                        " WHERE metric = 'accuracy'", connection)
    keys, checked = ["tuner", "noise", "noise_ratio"], 0
    baseline = cells["tuner"].min()
    board = json.loads(output(program, "leaderboard", "--db", database, "--json", "--group-by", ",".join(keys),
                              "--baseline", baseline, "--paired", "samples"))
    for row in board["rows"]:
        if row["tuner"] == baseline:
            continue
        for kind in ("id", "ood"):
            values = [row[key] for key in keys]
            shares = shares_of(cells, answers, keys, (values, [baseline, *values[1:]]), kind)
            total = sum(set_.sum() for set_ in shares.values())
            assert abs(row[f"{kind}_difference"] - total) < 1e-9, (row, total)
            assert abs(row[f"{kind}_p"] - p_value(shares)) < 1e-9, (row[f"{kind}_p"], p_value(shares))
            checked += 1
            if sum((np.abs(set_) > 1e-12).sum() for set_ in shares.values()) < 10:
                assert row[f"{kind}_difference_low"] is None
                continue
            width = row[f"{kind}_difference_high"] - row[f"{kind}_difference_low"]
            low, high = bootstrap(shares)
            assert abs(row[f"{kind}_difference_low"] - low) < 0.08 * width, (row, low, high)
            assert abs(row[f"{kind}_difference_high"] - high) < 0.08 * width, (row, low, high)
    assert checked > 0
    for row in board["rows"]:  # other samples: binomial
        for kind in ("id", "ood"):
            own = cells[(cells[keys] == pd.Series({key: row[key] for key in keys})).all(axis=1) & (cells["test_kind"] == kind)]
            means = own.groupby(["task", "test_set", "digest"])["value"].mean().reset_index()
            weight = 1 / means["task"].nunique() / means.groupby("task")["value"].transform("size")
            n = means["digest"].map({d: n for d, n in connection.execute("SELECT digest, samples FROM sample_sets")})
            half = 1.959963984540054 * np.sqrt((weight**2 * means["value"] * (1 - means["value"]) / n).sum())
            assert abs(row[f"{kind}_sampling"] - half) < 1e-9, (row, half)


def main(program, database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    answers = answers_of(database)
    check_exports(program, database, answers)
    check_metrics(connection, answers)
    check_tests(program, database, connection, answers)
    print(f"{len(answers)} sets of predictions agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
