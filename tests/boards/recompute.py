"""Recomputes every number of `nmlbench leaderboard` from v_results with pandas and SciPy, and compares to 1e-9.

usage: recompute.py NMLBENCH DATABASE. Written from the definitions in the README, not from the C++ code.
"""
import itertools
import json
import math
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ["tuner", "tuner_params", "noise", "noise_ratio"]
TOLERANCE = 1e-9
checked = 0


def compare(what, theirs, ours):
    global checked
    checked += 1
    if theirs is None or ours is None or (isinstance(ours, float) and math.isnan(ours)):
        missing = ours is None or (isinstance(ours, float) and math.isnan(ours))
        if theirs is None and missing:
            return
        sys.exit(f"{what}: nmlbench says {theirs}, this script {ours}")
    if not abs(theirs - ours) <= TOLERANCE * max(1.0, abs(ours)):
        sys.exit(f"{what}: nmlbench says {theirs!r}, this script {ours!r}")


def board(program, database, *arguments):
    command = [program, "leaderboard", "--db", database, "--json", "--group-by", ",".join(KEYS), *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# ---- Definitions


def task_seed(frame):
    """The unit of every average and test: a value for each (task, seed)."""
    return frame.groupby(["task", "seed"])["value"].mean()


def mean_over_tasks(values):
    return values.groupby("task").mean().mean()


def seed_values(values):
    """Mean over tasks of each seed that has every task."""
    return values.unstack("seed").dropna(axis=1).mean()


def bootstrap(n, statistic):
    """statistic: of each row of drawn indices [10000, n]."""
    if n < 2:
        return None, None
    draws = np.random.RandomState(20240507)._bit_generator.random_raw(10_000 * n).reshape(10_000, n)
    drawn = ((draws.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(int)
    values = statistic(drawn)
    values = values[np.isfinite(values)]
    if len(values) < 9_900:
        return None, None
    return tuple(np.percentile(values, [2.5, 97.5]))


def interval(values, method):
    values = np.asarray(values)
    if len(values) < 2:
        return None, None
    if method == "bootstrap":
        return bootstrap(len(values), lambda drawn: values[drawn].mean(axis=1))
    if values.std() == 0:
        return values.mean(), values.mean()
    return stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))


def wilcoxon(differences):
    """The exact distribution by counting sign patterns; SciPy's own where there are no ties."""
    d = np.round(differences, 12)
    d = d[d != 0]
    if len(d) == 0:
        return 1.0
    if len(set(abs(d))) == len(d) <= 50:
        return stats.wilcoxon(d, mode="exact").pvalue
    if len(d) > 50:
        return stats.wilcoxon(d, mode="approx").pvalue
    ranks = stats.rankdata(abs(d))
    observed = ranks[d > 0].sum()
    sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(d))])
    return min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))


def paired_p(differences, test):
    d = np.asarray(differences)
    if len(d) < 2:
        return None
    if test == "wilcoxon":
        return wilcoxon(d)
    if d.std() == 0:
        return float(d.mean() == 0)
    return stats.ttest_1samp(d, 0).pvalue


def holm(p_values):
    adjusted, largest = {}, 0.0
    for i, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, (len(p_values) - i) * p)
        adjusted[key] = min(1.0, largest)
    return adjusted


# ---- Checks


def check_scores(rows, groups, method):
    scores = {}
    for row in rows:
        key = tuple(row[name] for name in KEYS)
        frame = groups.get_group(key)
        name = f"{key} {method}"
        seeds = {}
        for kind in ("id", "ood"):
            values = task_seed(frame[frame.test_kind == kind])
            seeds[kind] = seed_values(values)
            compare(f"{name} {kind}", row[kind], mean_over_tasks(values))
            low, high = interval(seeds[kind], method)
            compare(f"{name} {kind}_low", row[f"{kind}_low"], low)
            compare(f"{name} {kind}_high", row[f"{kind}_high"], high)
            scores[key, kind] = row[kind]
        both = pd.DataFrame(seeds).dropna()
        sets = frame.groupby(["seed", "task", "test_set", "test_kind"])["value"].mean()
        summaries = {"harmonic": both.apply(lambda s: stats.hmean(s), axis=1),
                     "worst": both.min(axis=1),
                     "worst_set": sets.unstack("seed").dropna(axis=1).min()}
        for summary, values in summaries.items():
            low, high = interval(values, method)
            compare(f"{name} {summary}", row[summary], values.mean())
            compare(f"{name} {summary}_low", row[f"{summary}_low"], low)
            compare(f"{name} {summary}_high", row[f"{summary}_high"], high)
    return scores


def check_completeness(rows, groups):
    covered = {key: set(map(tuple, frame[["task", "test_set", "test_kind", "seed", "fraction"]].values))
               for key, frame in groups}
    everything = set().union(*covered.values())
    for row in rows:
        key = tuple(row[name] for name in KEYS)
        compare(f"{key} complete", int(row["complete"]), int(covered[key] == everything))


def check_ranks(result, groups):
    complete = [row for row in result["rows"] if row["complete"]]
    best = sorted((-row["id"] for row in complete))
    for row in complete:
        compare("rank", row["rank"], 1 + sum(value < -row["id"] - 1e-12 for value in best))
    for kind in ("id", "ood"):
        columns = {}
        for row in complete:
            key = tuple(row[name] for name in KEYS)
            frame = groups.get_group(key)
            columns[key] = task_seed(frame[frame.test_kind == kind]).groupby("task").mean()
        table = pd.DataFrame(columns).round(12)
        ranks = table.rank(axis=1, ascending=False).mean()
        for row in complete:
            compare(f"{kind}_rank", row[f"{kind}_rank"], ranks[tuple(row[name] for name in KEYS)])
        n, k = table.shape
        test = stats.friedmanchisquare(*table.values.T)
        f = (n - 1) * test.statistic / (n * (k - 1) - test.statistic)
        q = stats.studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
        theirs = result[f"{kind}_ranks"]
        compare("tasks", theirs["tasks"], n)
        compare("friedman", theirs["friedman_chi_squared"], test.statistic)
        compare("friedman p", theirs["friedman_p"], test.pvalue)
        compare("F", theirs["iman_davenport_f"], f)
        compare("F p", theirs["iman_davenport_p"], stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
        compare("critical difference", theirs["nemenyi_critical_difference"], q * math.sqrt(k * (k + 1) / (6 * n)))


def check_differences(rows, results, groups, method, test):
    pairing = ["noise", "noise_ratio", "task", "fraction", "seed", "test_set", "test_kind"]
    baseline = results[results.tuner == "linear-probe"].groupby(pairing)["value"].mean()
    for kind in ("id", "ood"):
        p_values = {}
        for row in rows:
            key = tuple(row[name] for name in KEYS)
            if row["tuner"] == "linear-probe":
                compare(f"{key} baseline", row[f"{kind}_difference"], None)
                continue
            own = groups.get_group(key)
            own = own[own.test_kind == kind].groupby(pairing)["value"].mean()
            pairs = (own - baseline).dropna().groupby(["task", "seed"]).mean()
            compare(f"{key} pairs", row[f"{kind}_pairs"], len(pairs))
            compare(f"{key} difference", row[f"{kind}_difference"], pairs.mean())
            low, high = interval(pairs, method)
            compare(f"{key} difference low", row[f"{kind}_difference_low"], low)
            compare(f"{key} difference high", row[f"{kind}_difference_high"], high)
            p = paired_p(pairs, test)
            compare(f"{key} p", row[f"{kind}_p"], p)
            if row["complete"]:
                p_values[key] = p
        corrected = holm(p_values)
        for row in rows:
            key = tuple(row[name] for name in KEYS)
            compare(f"{key} Holm", row[f"{kind}_p_holm"], corrected.get(key))


def fieller(a, b):
    n = len(a)
    if n < 2:
        return None, None
    c = np.cov(a, b) / n * stats.t.ppf(0.975, n - 1) ** 2
    quadratic, linear, constant = b.mean() ** 2 - c[1, 1], a.mean() * b.mean() - c[0, 1], a.mean() ** 2 - c[0, 0]
    if quadratic <= 0 or linear**2 < quadratic * constant:
        return None, None
    root = math.sqrt(linear**2 - quadratic * constant)
    return (linear - root) / quadratic, (linear + root) / quadratic


def check_recovery(row, name, kind, own, baseline, method):
    """own, baseline: a score for each (noise ratio, seed)."""
    noisy = [ratio for ratio in own.index if ratio > 0 and ratio in baseline.index]
    table = pd.concat([own.loc[noisy], baseline.loc[[0.0] + noisy]]).dropna(axis=1)
    own, baseline = own[table.columns], baseline[table.columns]
    regained = (own.loc[noisy] - baseline.loc[noisy]).sum().values
    lost = (baseline.loc[0.0] - baseline.loc[noisy]).sum().values
    if not lost.mean() > 0:
        return compare(f"{name} recovery", row[f"{kind}_recovery"], None)
    compare(f"{name} recovery", row[f"{kind}_recovery"], regained.mean() / lost.mean())
    if method == "bootstrap":
        def ratio(drawn):
            below = lost[drawn].mean(axis=1)
            return regained[drawn].mean(axis=1) / np.where(below > 0, below, math.nan)
        low, high = bootstrap(len(lost), ratio)
    else:
        low, high = fieller(regained, lost)
    compare(f"{name} recovery low", row[f"{kind}_recovery_low"], low)
    compare(f"{name} recovery high", row[f"{kind}_recovery_high"], high)


def check_noise_effect(program, database, results, method):
    def levels(frame):
        return pd.DataFrame({ratio: seed_values(task_seed(part)) for ratio, part in frame.groupby("noise_ratio")}).T

    effect = board(program, database, "--noise-effect", "--interval", method)
    assert effect["baseline"] == "linear-probe"
    for row in effect["rows"]:
        frame = results[(results.tuner == row["tuner"]) & (results.tuner_params == row["tuner_params"])]
        for kind in ("id", "ood"):
            own = levels(frame[frame.test_kind == kind])
            name = f"{row['tuner']} {row['tuner_params']} {kind} {method}"
            clean = task_seed(frame[(frame.test_kind == kind) & (frame.noise_ratio == 0)])
            compare(f"{name} clean", row[f"{kind}_clean"], mean_over_tasks(clean))
            whole = own.dropna(axis=1)
            slopes = np.array([0.1 * stats.linregress(whole.index, whole[seed]).slope for seed in whole.columns])
            low, high = interval(slopes, method)
            compare(f"{name} slope", row[f"{kind}_slope"], slopes.mean())
            compare(f"{name} slope low", row[f"{kind}_slope_low"], low)
            compare(f"{name} slope high", row[f"{kind}_slope_high"], high)
            if row["tuner"] == "linear-probe":
                compare(f"{name} recovery", row[f"{kind}_recovery"], None)
                continue
            probe = results[(results.tuner == "linear-probe") & (results.test_kind == kind)]
            check_recovery(row, name, kind, own, levels(probe), method)


def main(program, database):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        results = pd.read_sql("SELECT * FROM v_results WHERE metric = 'accuracy' AND status = 'done'", connection)
    groups = results.groupby(KEYS)
    for method in ("t", "bootstrap"):
        result = board(program, database, "--interval", method)
        assert len(result["rows"]) == len(groups)
        check_scores(result["rows"], groups, method)
        check_completeness(result["rows"], groups)
        check_ranks(result, groups)
        for test in ("t", "wilcoxon"):
            tested = board(program, database, "--interval", method, "--test", test, "--baseline", "linear-probe")
            check_differences(tested["rows"], results, groups, method, test)
        check_noise_effect(program, database, results, method)
    print(f"{checked} numbers agree to {TOLERANCE}")


if __name__ == "__main__":
    main(*sys.argv[1:])
