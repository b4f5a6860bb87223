"""Reads a results database as pandas users do, and checks that every road gives the same numbers.

usage: pandas_check.py NMLBENCH DATABASE. Needs pandas (Debian: python3-pandas).
"""
import io
import json
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd

TABLES = {"results": "v_results", "cells": "v_cells", "throughput": "v_throughput", "noise": "v_noise",
          "class_accuracy": "v_class_accuracy", "confusion": "v_confusion"}
BLOBS = {"curves": "loss", "spectra": "singular_value"}


def output(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def read_csv(program, database, table):
    types = json.loads(output(program, "export", "--table", table, "--schema"))
    times = [name for name, kind in types.items() if kind == "timestamp"]
    dtypes = {name: kind for name, kind in types.items() if name not in times}
    text = output(program, "export", "--db", database, "--table", table)
    frame = pd.read_csv(io.StringIO(text), dtype=dtypes, parse_dates=times, keep_default_na=False,
                        na_values={name: [""] for name, kind in types.items() if kind != "string"},
                        float_precision="round_trip")
    assert list(frame.columns) == list(types), table
    for name in times:
        assert str(frame[name].dt.tz) == "UTC", (table, name)
    return frame


def same(table, ours, theirs):
    assert len(ours) == len(theirs) > 0, table
    for name in ours.columns:
        if ours[name].dtype.kind in "if":
            np.testing.assert_array_equal(ours[name].astype(float), theirs[name].astype(float), err_msg=f"{table}.{name}")
        elif ours[name].dtype.kind == "O":
            assert list(ours[name].fillna("")) == list(theirs[name].fillna("")), (table, name)


def main(program, database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    for table, view in TABLES.items():
        sql = pd.read_sql(f"SELECT * FROM {view}", connection)
        csv = read_csv(program, database, table)
        assert list(sql.columns) == list(csv.columns), table
        same(table, csv, sql)
        lines = pd.read_json(io.StringIO(output(program, "export", "--db", database, "--table", table, "--format",
                                                "jsonl")), lines=True, precise_float=True, convert_dates=False,
                             dtype={name: csv[name].dtype for name in csv if csv[name].dtype.kind in "O"})
        same(table, csv, lines)
    for table in BLOBS:  # a BLOB is little-endian float32
        csv = read_csv(program, database, table)
        column, source = ("loss", "curves") if table == "curves" else ("singular_values", "spectra")
        rows = connection.execute(f"SELECT {column} FROM {source}").fetchall()
        values = np.concatenate([np.frombuffer(row[0], "<f4") for row in rows])
        np.testing.assert_array_equal(csv[BLOBS[table]].astype(np.float32), values)
    table = pd.read_sql("SELECT * FROM v_results WHERE metric = 'accuracy'", connection)
    assert table.pivot_table("value", "tuner", ["test_kind", "noise_ratio"]).notna().all().all()
    print("every table agrees")


if __name__ == "__main__":
    main(*sys.argv[1:])
