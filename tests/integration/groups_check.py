"""Recomputes what test sets with classes and sets of their own score, from predictions of the same images over all classes.

usage: groups_check.py NMLBENCH DATABASE, of groups_test.cpp: the test set `frames` has every frame of the videos and six
classes, of which each video class has two, so that the video class that is predicted is half the class with the largest
logit. PM-0 and PM-10 are written from the authors' score_predictions.py. `show --samples` is counted again.
"""
import csv
import io
import json
import pathlib
import sqlite3
import subprocess
import sys
import zlib

import numpy as np


def answers_of(connection):
    """(cell, test set) -> labels, predicted."""
    found = {}
    for cell, test_set, n, labels, packed in connection.execute(
            "SELECT cell_id, test_set, samples, labels, predictions FROM v_predictions"):
        labels, raw = zlib.decompress(labels), zlib.decompress(packed)
        labels = np.frombuffer(labels, f"<u{len(labels) // n}").astype(int)
        code = np.frombuffer(raw, np.uint8, n).astype(int)
        found[cell, test_set] = labels, np.where(code == 0, labels, code - 1)
    return found


def check_videos(folder, accuracies, answers):
    sets = json.loads((folder / "metadata/pmsets.json").read_text())
    right = json.loads((folder / "metadata/labels.json").read_text())
    names = [line.split()[0] for line in (folder / "frames.txt").read_text().splitlines()]
    seen = set()
    for cell in {cell for cell, _ in answers}:
        predicted = dict(zip(names, answers[cell, "frames"][1] // 2))
        is_right = {name: predicted[name] in right[name] for name in names}
        anchors = [is_right[anchor] for anchor in sets]
        pm10 = [is_right[anchor] and all(is_right[frame] for frame in frames) for anchor, frames in sets.items()]
        for test_set, expected in ("pm-0", anchors), ("pm-10", pm10):
            assert abs(accuracies[cell, test_set] - np.mean(expected)) < 1e-12, (cell, test_set)
            labels, kept = answers[cell, test_set]
            assert ((labels == kept) == expected).all() and (labels == [right[anchor][0] for anchor in sets]).all()
            seen.add(round(np.mean(expected), 6))
        assert sum(pm10) < sum(anchors) < len(sets), "the test tells nothing: too easy"
    assert len(seen) > 3


def check_groups(answers):
    """The best of three classes is the best of all six where that is one of them."""
    told = 0
    for cell in {cell for cell, _ in answers}:
        labels, predicted = answers[cell, "renditions"]
        _, of_all = answers[cell, "renditions-all-classes"]
        assert predicted.max() < 3 and len(labels) == len(of_all) == 60
        own = np.array([0, -1, 1, -1, -1, 2])[of_all]
        assert (predicted[own >= 0] == own[own >= 0]).all()
        told += (own < 0).sum()
    assert told > 0, "the test tells nothing: no head ever preferred another class"


def check_broken_samples(program, database, connection, answers):
    cells = connection.execute("SELECT DISTINCT cell_id, tuner, seed, noise_ratio FROM v_results").fetchall()
    clean = {(tuner, seed): cell for cell, tuner, seed, ratio in cells if ratio == 0}
    noisy = {(tuner, seed): cell for cell, tuner, seed, ratio in cells if ratio == 0.5}
    table = subprocess.run([program, "show", "--samples", "--db", database, "--limit", "1000000", "--format", "csv"],
                           check=True, capture_output=True, text=True).stdout
    rows = {(row["test_set"], int(row["sample"])): row for row in csv.DictReader(io.StringIO(table))}
    for test_set in {test_set for _, test_set in answers}:
        labels = answers[next(iter(clean.values())), test_set][0]
        was = np.array([answers[clean[key], test_set][1] == labels for key in clean])
        now = np.array([answers[noisy[key], test_set][1] == labels for key in clean])
        broken, mended = (was & ~now).sum(0), (~was & now).sum(0)
        for sample in range(len(labels)):
            row = rows.pop((test_set, sample), None)
            assert (row is not None) == (broken[sample] > mended[sample]), (test_set, sample)
            if row is not None:
                assert [int(row[key]) for key in ("label", "heads", "broken", "mended")] == [
                    labels[sample], len(clean), broken[sample], mended[sample]]
    assert not rows


def main(program, database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    answers = answers_of(connection)
    accuracies = {(cell, test_set): value for cell, test_set, value in connection.execute(
        "SELECT cell_id, test_set, value FROM v_results WHERE metric = 'accuracy'")}
    check_videos(pathlib.Path(database).parent / "vid", accuracies, answers)
    check_groups(answers)
    check_broken_samples(program, database, connection, answers)
    print("classes and sets are scored as their authors do")


if __name__ == "__main__":
    main(*sys.argv[1:])
