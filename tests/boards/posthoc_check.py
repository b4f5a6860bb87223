"""Reads kept probabilities as docs/DESIGN.md says, and recomputes from them with SciPy what `nmlbench posthoc` says.

usage: posthoc_check.py NMLBENCH DATABASE. Test sets are of kind id, one for each cell; groups are a tuner and a fraction.
"""
import collections
import io
import pathlib
import re
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
from scipy import optimize, special

DESIGN = pathlib.Path(__file__).parents[2] / "docs/DESIGN.md"


def probabilities_of(database):
    """(cell, test set, part) -> labels [N], log p [N, C]: by the code of docs/DESIGN.md itself."""
    code = next(block for block in re.findall(r"```python\n(.*?)```", DESIGN.read_text(), re.S) if "v_probabilities" in block)
    found = {}
    exec(code.replace("nmlbench.sqlite", database) + "    found[cell, test_set, part] = labels, log_p\n", {"found": found})
    return {key: (labels.astype(int), log_p.astype(float)) for key, (labels, log_p) in found.items()}


def scores(labels, log_p, temperature=1.0):
    """accuracy, loss, ece of softmax(log p / T)"""
    scaled = special.log_softmax(log_p / temperature, axis=1)
    confidence, right = np.exp(scaled.max(1)), log_p.argmax(1) == labels
    bins = np.clip(np.ceil(confidence * 15) - 1, 0, 14)
    gaps = [abs((right - confidence)[bins == b].sum()) for b in range(15)]
    return right.mean(), -scaled[np.arange(len(labels)), labels].mean(), sum(gaps) / len(labels)


def best_temperature(labels, log_p):
    loss = lambda log_t: scores(labels, log_p, np.exp(log_t))[1]
    found = optimize.minimize_scalar(loss, bounds=(np.log(1e-3), np.log(1e3)), method="bounded", options={"xatol": 1e-10})
    return np.exp(found.x)


def table(program, database, *arguments):
    done = subprocess.run([program, "posthoc", *arguments, "--db", database, "--format", "csv"], check=True,
                          capture_output=True, text=True)
    return pd.read_csv(io.StringIO(done.stdout))


def close(a, b, tolerance):
    assert abs(a - b) <= tolerance, (a, b)


def check_export(program, database, kept):
    export = subprocess.run([program, "export", "--db", database, "--table", "probabilities"], check=True,
                            capture_output=True, text=True).stdout
    frame = pd.read_csv(io.StringIO(export), keep_default_na=False)
    assert len(frame) == sum(log_p.size for _, log_p in kept.values())
    for key, rows in frame.groupby(["cell_id", "test_set", "part"]):
        labels, log_p = kept[key]
        assert (rows["label"].to_numpy().reshape(log_p.shape) == labels[:, None]).all()
        assert np.abs(rows["log_p"].to_numpy(float).reshape(log_p.shape) - log_p).max() < 1e-6 * np.abs(log_p).max()
        assert np.abs(rows["p"].to_numpy(float).reshape(log_p.shape) - np.exp(log_p)).max() < 1e-4


def check_temperatures(program, database, kept):
    """How many cells have one."""
    rows = table(program, database, "temperature", "--group-by", "cell_id").set_index("cell_id")
    for cell, row in rows.iterrows():
        held_out = [kept[key] for key in kept if key[0] == cell and key[1] == ""]
        labels = np.concatenate([labels for labels, _ in held_out])
        log_p = np.concatenate([log_p for _, log_p in held_out])
        temperature = best_temperature(labels, log_p)
        close(row["temperature"] / temperature, 1.0, 1e-4)  # where the loss is flat, its minimum is found to its root
        (test,) = [kept[key] for key in kept if key[0] == cell and key[1] != ""]
        for name, before, after in zip(("accuracy", "loss", "ece"), scores(*test), scores(*test, row["temperature"])):
            close(row[name], before, 1e-9)
            if name != "accuracy":
                close(row[name + "_scaled"], after, 1e-9)
    return len(rows)


def check_recorded(database, kept):
    """The metrics of the cells themselves, but for the rounding to 16 bits."""
    query = "SELECT cell_id, test_set, metric, value FROM v_results WHERE metric IN ('accuracy', 'loss', 'ece')"
    for cell, test_set, metric, value in sqlite3.connect(database).execute(query):
        labels, log_p = kept[cell, test_set, 0]
        place = ("accuracy", "loss", "ece").index(metric)
        close(scores(labels, log_p)[place], value, (1 / len(labels), 5e-4 * max(1, value), 2 / len(labels))[place])


def check_votes(program, database, kept, over):
    """How many rows the board has."""
    rows = table(program, database, "ensemble", "--over", over)
    cells = sqlite3.connect(database).execute("SELECT cell_id, tuner, fraction, seed FROM v_cells").fetchall()
    votes = collections.defaultdict(list)
    for cell, tuner, fraction, seed in cells:
        key = (tuner if over == "seed" else "all", fraction)
        votes[key, "all" if over == "seed" else seed] += [kept[k] for k in kept if k[0] == cell and k[1] != ""]
    groups = collections.defaultdict(list)
    for (key, _), members in votes.items():
        vote = np.log(np.mean([np.exp(log_p) for _, log_p in members], axis=0))
        before = np.mean([scores(*member) for member in members], axis=0)
        groups[key].append((len(members), before, scores(members[0][0], vote)))
    for _, row in rows.iterrows():
        group = groups.pop((row["tuner"] if over == "seed" else "all", row["fraction"]))
        assert {members for members, _, _ in group} == {row["members"]}
        for place, name in enumerate(("accuracy", "loss", "ece")):
            close(row[name], np.mean([before[place] for _, before, _ in group]), 1e-9)
            close(row[name + "_ensemble"], np.mean([after[place] for _, _, after in group]), 1e-6)
    assert not groups
    return len(rows)


def main():
    program, database = sys.argv[1:]
    kept = probabilities_of(database)
    check_export(program, database, kept)
    check_recorded(database, kept)
    print(check_temperatures(program, database, kept), check_votes(program, database, kept, "seed"),
          check_votes(program, database, kept, "tuner"))


if __name__ == "__main__":
    main()
