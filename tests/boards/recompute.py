"""Recomputes the numbers of `nmlbench leaderboard` and `compare` from v_results with pandas and SciPy, to 1e-9.

usage: recompute.py NMLBENCH DATABASE [OTHER]. Written from docs/STATISTICS.md, not from the C++ code. With OTHER, what
`compare DATABASE OTHER` says is recomputed too.
"""
import bisect
import json
import math
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ["tuner", "tuner_params", "noise", "noise_ratio"]
CONDITION = ["noise", "noise_ratio"]
PAIRING = ["noise", "noise_ratio", "task", "fraction", "seed", "test_set", "test_kind"]
UNITS = ["seed", "task", "crossed"]
TOLERANCE = 1e-9
checked = 0


def compare(what, theirs, ours, tolerance=TOLERANCE):
    global checked
    checked += 1
    if theirs is None or ours is None or (isinstance(ours, float) and math.isnan(ours)):
        missing = ours is None or (isinstance(ours, float) and math.isnan(ours))
        if theirs is None and missing:
            return
        sys.exit(f"{what}: nmlbench says {theirs}, this script {ours}")
    if not abs(theirs - ours) <= tolerance * max(1.0, abs(ours)):
        sys.exit(f"{what}: nmlbench says {theirs!r}, this script {ours!r}")


def output(program, *arguments):
    return json.loads(subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout)


def board(program, database, *arguments):
    return output(program, "leaderboard", "--db", database, "--json", "--group-by", ",".join(KEYS), *arguments)


# ---- Definitions: a table has a row for each task and a column for each seed that has every task


def as_table(values):
    """From a value for each (task, seed)."""
    table = values.unstack("seed")
    whole = table.dropna(axis=1)
    return whole if whole.shape[1] > 0 else table


def table_of(frame):
    return as_table(frame.groupby(["task", "seed"])["value"].mean())


def estimate(table):
    return table.mean(axis=1).mean()


def unit_values(table, unit):
    return (table.dropna(axis=1).mean(axis=0) if unit == "seed" else table.mean(axis=1)).values


def crossed(table):
    """Standard error and degrees of freedom of the grand mean, both factors random."""
    t, s = table.shape
    if table.isna().any().any() or min(t, s) < 2:
        return None
    y = table.values
    rows, columns = y.mean(axis=1), y.mean(axis=0)
    of_tasks, of_seeds = s * rows.var(ddof=1), t * columns.var(ddof=1)
    rest = ((y - rows[:, None] - columns[None, :] + y.mean()) ** 2).sum() / ((t - 1) * (s - 1))
    variance = max(of_tasks + of_seeds - rest, of_tasks, of_seeds, rest) / (t * s)
    return math.sqrt(variance), min(t, s) - 1


def bootstrap(n, statistic):
    """statistic: of each row of drawn indices [10000, n]."""
    if n < 10:
        return None, None
    draws = np.random.RandomState(20240507)._bit_generator.random_raw(10_000 * n).reshape(10_000, n)
    drawn = ((draws.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(int)
    values = statistic(drawn)
    values = values[np.isfinite(values)]
    if len(values) < 9_900:
        return None, None
    cut = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    return tuple(np.percentile(values, [100 * cut, 100 - 100 * cut]))


def mean_interval(values, method):
    values = np.asarray(values)
    if len(values) < 2:
        return None, None
    if method == "bootstrap":
        return bootstrap(len(values), lambda drawn: values[drawn].mean(axis=1))
    if values.std() == 0:
        return values.mean(), values.mean()
    return stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))


def interval(table, unit, method):
    if unit != "crossed":
        return mean_interval(unit_values(table, unit), method)
    both = crossed(table)
    if both is None:
        return None, None
    half = stats.t.ppf(0.975, both[1]) * both[0]
    return estimate(table) - half, estimate(table) + half


def p_value(table, unit, test):
    if unit == "crossed":
        both = crossed(table)
        return None if both is None else 2 * stats.t.sf(abs(estimate(table)) / both[0], both[1])
    d = np.round(unit_values(table, unit), 12)
    if len(d) < 2:
        return None
    if not d.any():
        return 1.0
    if test == "wilcoxon":
        return stats.wilcoxon(d, mode="exact").pvalue
    if test == "sign-flip":
        flips = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
        return flips.pvalue
    return float(d.mean() == 0) if d.std() == 0 else stats.ttest_1samp(unit_values(table, unit), 0).pvalue


def units_needed(values):
    """The smallest n whose t test at 5 % has a power of 80 %, mean and deviation being those of the values."""
    if len(values) < 2:
        return None
    effect = abs(np.mean(values)) / np.std(values, ddof=1)

    def power(n):
        critical, shift = stats.t.ppf(0.975, n - 1), effect * math.sqrt(n)
        if shift > critical + 30:
            return 1.0
        # beyond 5 the other tail is below 1e-8, and NaN in some versions of SciPy
        other_tail = stats.nct.cdf(-critical, n - 1, shift) if shift < 5 else 0.0
        return stats.nct.sf(critical, n - 1, shift) + other_tail

    if power(10_000) < 0.8:
        return None
    return 2 + bisect.bisect_left(range(2, 10_001), 0.8, key=power)


def holm(p_values):
    adjusted, largest = {}, 0.0
    for i, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, (len(p_values) - i) * p)
        adjusted[key] = min(1.0, largest)
    return adjusted


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


# ---- Checks


def key_of(row):
    return tuple(row[name] for name in KEYS)


def check_estimate(what, row, column, table, unit, method):
    compare(f"{what} {column}", row[column], estimate(table))
    low, high = interval(table, unit, method)
    compare(f"{what} {column}_low", row[f"{column}_low"], low)
    compare(f"{what} {column}_high", row[f"{column}_high"], high)


def check_scores(rows, groups, unit, method):
    for row in rows:
        frame = groups.get_group(key_of(row))
        name = f"{key_of(row)} {unit} {method}"
        seeds = {}
        for kind in ("id", "ood"):
            table = table_of(frame[frame.test_kind == kind])
            check_estimate(name, row, kind, table, unit, method)
            seeds[kind] = table.dropna(axis=1).mean(axis=0)
            compare(f"{name} seeds", row[f"{kind}_seeds"], len(seeds[kind]))
            compare(f"{name} tasks", row[f"{kind}_tasks"], len(table))
        both = pd.DataFrame(seeds).dropna()
        sets = frame.groupby(["seed", "task", "test_set", "test_kind"])["value"].mean()
        summaries = {"harmonic": both.apply(lambda s: stats.hmean(s), axis=1),
                     "worst": both.min(axis=1),
                     "worst_set": sets.unstack("seed").dropna(axis=1).min()}
        for summary, values in summaries.items():
            low, high = mean_interval(values, method) if unit == "seed" else (None, None)
            compare(f"{name} {summary}", row[summary], values.mean())
            compare(f"{name} {summary}_low", row[f"{summary}_low"], low)
            compare(f"{name} {summary}_high", row[f"{summary}_high"], high)


def check_completeness(rows, groups):
    covered = {key: set(map(tuple, frame[["task", "test_set", "test_kind", "seed", "fraction"]].values))
               for key, frame in groups}
    everything = set().union(*covered.values())
    for row in rows:
        compare(f"{key_of(row)} complete", int(row["complete"]), int(covered[key_of(row)] == everything))


def friedman_by_permutation(ranks):
    """ranks: of each task (row) and method (column)."""
    random = np.random.default_rng(1)
    observed = (ranks.sum(axis=0) ** 2).sum()
    drawn = random.permuted(np.broadcast_to(ranks, (20_000, *ranks.shape)), axis=2)
    return ((drawn.sum(axis=1) ** 2).sum(axis=1) >= observed - 1e-9).mean()


def check_ranks(result, groups):
    complete = [row for row in result["rows"] if row["complete"]]
    best = sorted((-row["id"] for row in complete))
    for row in complete:
        compare("rank", row["rank"], 1 + sum(value < -row["id"] - 1e-12 for value in best))
    for kind in ("id", "ood"):
        conditions = {}
        for row in complete:
            frame = groups.get_group(key_of(row))
            means = frame[frame.test_kind == kind].groupby(["task", "seed"])["value"].mean().groupby("task").mean()
            conditions.setdefault(tuple(str(row[name]) for name in CONDITION), {})[key_of(row)] = (row, means)
        tests = {tuple(test["condition"][name] for name in CONDITION): test for test in result[f"{kind}_ranks"]}
        compare("conditions", len(tests), sum(len(methods) > 1 for methods in conditions.values()))
        corrected = holm({condition: test["friedman_p"] for condition, test in tests.items()})
        for condition, test in tests.items():
            methods = conditions[tuple("0" if value == "0.0" else value for value in condition)]
            table = pd.DataFrame({key: means for key, (_, means) in methods.items()}).round(12)
            ranks = table.rank(axis=1, ascending=False)
            for key, (row, _) in methods.items():
                compare(f"{kind}_rank", row[f"{kind}_rank"], ranks.mean()[key])
            n, k = table.shape
            q = stats.studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
            compare("tasks", test["tasks"], n)
            compare("methods", test["methods"], k)
            if k > 2:  # SciPy's takes no fewer
                compare("friedman", test["friedman_chi_squared"], stats.friedmanchisquare(*table.values.T).statistic)
            compare("friedman p", test["friedman_p"], friedman_by_permutation(ranks.values), 0.02)
            compare("friedman p Holm", test["friedman_p_holm"], corrected[condition])
            compare("critical difference", test["nemenyi_critical_difference"], q * math.sqrt(k * (k + 1) / (6 * n)))


def check_difference(what, row, prefix, table, unit, method, test, p_column):
    """Returns the p value."""
    check_estimate(what, row, prefix, table, unit, method)
    p = p_value(table, unit, test)
    compare(f"{what} {p_column}", row[p_column], p)
    return p


class Baseline:
    """The linear probe with one of its settings, as --baseline names it."""

    def __init__(self, results):
        settings = sorted(set(results[results.tuner == "linear-probe"].tuner_params), reverse=True)
        self.params = settings[0]
        label = ", ".join(f"{name}={value}" for name, value in json.loads(self.params).items())
        self.text = "linear-probe" if len(settings) == 1 else f"linear-probe ({label})"

    def of(self, results):
        return results[(results.tuner == "linear-probe") & (results.tuner_params == self.params)]

    def is_of(self, row):
        return row["tuner"] == "linear-probe" and row["tuner_params"] == self.params


def check_differences(rows, results, groups, unit, method, test):
    base = Baseline(results)
    baseline = base.of(results).groupby(PAIRING)["value"].mean()
    for kind in ("id", "ood"):
        p_values = {}
        for row in rows:
            key = key_of(row)
            if base.is_of(row):
                compare(f"{key} baseline", row[f"{kind}_difference"], None)
                continue
            own = groups.get_group(key)
            own = own[own.test_kind == kind].groupby(PAIRING)["value"].mean()
            table = as_table((own - baseline).dropna().groupby(["task", "seed"]).mean())
            p = check_difference(f"{key} {unit} {test}", row, f"{kind}_difference", table, unit, method, test, f"{kind}_p")
            if unit != "crossed":
                compare(f"{key} needed", row[f"{kind}_needed"], units_needed(unit_values(table, unit)))
            if row["complete"] and p is not None:
                p_values[key] = p
        corrected = holm(p_values)
        for row in rows:
            compare(f"{key_of(row)} Holm", row[f"{kind}_p_holm"], corrected.get(key_of(row)))


def curves(frame):
    """A row for each noise ratio, a column for each (task, seed)."""
    return frame.groupby(["noise_ratio", "task", "seed"])["value"].mean().unstack(["task", "seed"])


def drops(curve):
    whole = curve.dropna(axis=1)
    return whole.loc[0.0] - whole.drop(index=0.0).mean()


def check_recovery(row, name, kind, own, baseline, unit, method, test):
    common = [ratio for ratio in own.index if ratio in baseline.index]
    both = pd.DataFrame({"own": drops(own.loc[common]), "baseline": drops(baseline.loc[common])}).dropna()
    check_estimate(name, row, f"{kind}_drop", as_table(both.own), unit, method)
    check_estimate(name, row, f"{kind}_baseline_drop", as_table(both.baseline), unit, method)
    difference = f"{kind}_drop_difference"
    table = as_table(both.baseline - both.own)
    p = check_difference(name, row, difference, table, unit, method, test, f"{difference}_p")
    lost, at_stake = estimate(as_table(both.own)), estimate(as_table(both.baseline))
    if not at_stake > 0:
        compare(f"{name} recovery", row[f"{kind}_recovery"], None)
        return p
    compare(f"{name} recovery", row[f"{kind}_recovery"], 1 - lost / at_stake)
    low = high = None
    if unit != "crossed":
        a, b = unit_values(as_table(both.own), unit), unit_values(as_table(both.baseline), unit)
        if method == "bootstrap":
            def ratio(drawn):
                below = b[drawn].mean(axis=1)
                return a[drawn].mean(axis=1) / np.where(below > 0, below, math.nan)
            low, high = bootstrap(len(b), ratio)
        else:
            low, high = fieller(a, b)
    compare(f"{name} recovery low", row[f"{kind}_recovery_low"], None if high is None else 1 - high)
    compare(f"{name} recovery high", row[f"{kind}_recovery_high"], None if low is None else 1 - low)
    return p


def check_noise_effect(program, database, results, unit, method, test):
    base = Baseline(results)
    effect = board(program, database, "--noise-effect", "--interval", method, "--unit", unit, "--test", test, "--baseline",
                   base.text)
    assert effect["baseline"] == base.text and effect["unit"] == unit
    for kind in ("id", "ood"):
        p_values = {}
        for row in effect["rows"]:
            frame = results[(results.tuner == row["tuner"]) & (results.tuner_params == row["tuner_params"]) &
                            (results.test_kind == kind)]
            own = curves(frame)
            name = f"{row['tuner']} {row['tuner_params']} {kind} {unit} {method}"
            check_estimate(name, row, f"{kind}_clean", table_of(frame[frame.noise_ratio == 0]), unit, method)
            whole = own.dropna(axis=1)
            slopes = whole.apply(lambda y: 0.1 * stats.linregress(whole.index, y).slope)
            check_estimate(name, row, f"{kind}_slope", as_table(slopes), unit, method)
            if base.is_of(row):
                check_estimate(name, row, f"{kind}_drop", as_table(drops(own)), unit, method)
                compare(f"{name} recovery", row[f"{kind}_recovery"], None)
                continue
            probe = curves(base.of(results[results.test_kind == kind]))
            p = check_recovery(row, name, kind, own, probe, unit, method, test)
            if row["complete"] and p is not None:
                p_values[row["tuner"], row["tuner_params"]] = p
        corrected = holm(p_values)
        for row in effect["rows"]:
            compare("Holm", row[f"{kind}_drop_difference_p_holm"], corrected.get((row["tuner"], row["tuner_params"])))


def check_comparison(program, before, after, unit):
    result = output(program, "compare", before, after, "--json", "--group-by", "tuner", "--unit", unit)
    a, b = (read(file).set_index(["cell_id", "test_set"]) for file in (before, after))
    a["value"] = b["value"] - a["value"]
    changes = a.dropna(subset=["value"]).reset_index()
    p_values = {}
    for row in result["rows"] + [result["overall"]]:
        tuner = row.get("tuner")
        table = table_of(changes if tuner is None else changes[changes.tuner == tuner])
        p = check_difference(f"compare {tuner} {unit}", row, "difference", table, unit, "t", "t", "p")
        if tuner is not None:
            p_values[tuner] = p
    corrected = holm(p_values)
    for row in result["rows"]:
        compare("compare Holm", row["p_holm"], corrected[row["tuner"]])


def read(database):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return pd.read_sql("SELECT * FROM v_results WHERE metric = 'accuracy' AND status = 'done'", connection)


def main(program, database, other=None):
    results = read(database)
    groups = results.groupby(KEYS)
    ways = [(unit, "t", test) for unit in UNITS for test in ("t", "wilcoxon", "sign-flip")
            if unit != "crossed" or test == "t"]
    if results.seed.nunique() >= 10:
        ways.append(("seed", "bootstrap", "t"))
    for unit, method, test in ways:
        how = ["--unit", unit, "--interval", method, "--test", test]
        result = board(program, database, *how)
        assert len(result["rows"]) == len(groups)
        check_scores(result["rows"], groups, unit, method)
        power = [] if unit == "crossed" else ["--power"]
        tested = board(program, database, *how, *power, "--baseline", Baseline(results).text)
        check_differences(tested["rows"], results, groups, unit, method, test)
        check_noise_effect(program, database, results, unit, method, test)
    check_completeness(result["rows"], groups)
    check_ranks(result, groups)
    if other:
        for unit in UNITS:
            check_comparison(program, database, other, unit)
    print(f"{checked} numbers agree to {TOLERANCE}")


if __name__ == "__main__":
    main(*sys.argv[1:])
