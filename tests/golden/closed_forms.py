#!/usr/bin/env python3
"""What scikit-learn and NumPy make of two small problems, for `logistic`, `ridge`, `knn` and `ncm`.

usage: closed_forms.py > tests/golden/closed_forms.json

Made with scikit-learn 1.9.1. Each problem has its rows, so that the test needs neither Python nor scikit-learn. `tall` has more rows than
features, `wide` fewer; features are correlated and not centred.
"""
import json

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

PENALTIES = [0.01, 1.0, 100.0]
LAMBDAS = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3]


def problem(seed, rows, features, classes):
    draw = np.random.default_rng(seed)
    mixing = draw.normal(size=(features, features)) * (1 + np.arange(features)) ** -0.7
    centres = draw.normal(size=(classes, features))

    def sample(n):
        y = np.concatenate([np.arange(classes), draw.integers(0, classes, n - classes)])  # every class occurs
        return np.round((centres[y] + 1.3 * draw.normal(size=(n, features))) @ mixing + 0.5, 3).astype("f4"), y

    return sample(rows), sample(15)[0]


def cross_entropy(logits, y):
    shifted = logits - logits.max(1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]).mean())


def centred(logits):  # over classes, where a softmax does not see the difference
    return (logits - logits.mean(1, keepdims=True)).tolist()


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def logistic(x, y, test):
    for c in PENALTIES:
        model = LogisticRegression(C=c, tol=1e-12, max_iter=100000).fit(x, y)
        yield {"C": c, "loss": cross_entropy(model.decision_function(x), y),
               "logits": centred(model.decision_function(test))}


def ridge(x, y, test):
    chosen = RidgeClassifierCV(alphas=LAMBDAS).fit(x, y)
    yield {"lambdas": LAMBDAS, "chosen": float(chosen.alpha_), "logits": chosen.decision_function(test).tolist()}
    for alpha in PENALTIES:
        model = RidgeClassifier(alpha=alpha).fit(x, y)
        yield {"lambda": alpha, "logits": model.decision_function(test).tolist()}


def knn(x, y, test):
    for k, temperature in ((1, 0.07), (5, 0.07), (9, 0.5)):
        weights = lambda distance: np.exp((1 - distance) / temperature)
        model = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=weights).fit(x, y)
        yield {"k": k, "temperature": temperature, "shares": model.predict_proba(test).tolist()}


def ncm(x, y, test):
    yield {"metric": "euclidean", "predicted": NearestCentroid().fit(x, y).predict(test).tolist()}
    means = unit(np.stack([unit(x)[y == c].mean(0) for c in range(y.max() + 1)]))
    yield {"metric": "cosine", "predicted": (unit(test) @ means.T).argmax(1).tolist()}


def main():
    result = {}
    for name, shape in (("tall", (60, 6, 4)), ("wide", (24, 30, 3))):
        (x, y), test = problem(len(name) + shape[0], *shape)
        wide = x.astype("f8")
        result[name] = {"x": x.tolist(), "y": y.tolist(), "test": test.tolist(), "classes": shape[2]}
        for tuner in (logistic, ridge, knn, ncm):
            result[name][tuner.__name__] = list(tuner(wide, y, test.astype("f8")))
    print(json.dumps(json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.9g}"))))


if __name__ == "__main__":
    main()
