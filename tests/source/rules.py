"""Rules about the sources that no compiler checks. usage: rules.py SOURCE_DIR"""
import pathlib
import re
import sys

# What a pattern is wrong for, and where it is right.
RULES = [
    (re.compile(r"\bdata_ptr\b|\bconst_data_ptr\b|\bmutable_data_ptr\b"), {"harness/include/nmlbench/dense.h"},
     "a pointer into a tensor comes from dense_data() (nmlbench/dense.h), which checks device, type and layout"),
    (re.compile(r"__builtin_cpu_supports"), {"harness/api/cpu_level.cpp", "plugins/datasets/images/resize.cpp"},
     "what the processor can do is asked of cpu_level() (nmlbench/cpu_level.h), which can be forced"),
]


def main():
    root, found = pathlib.Path(sys.argv[1]), []
    for folder in ("harness", "plugins", "results", "examples"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".cpp", ".h", ".in"):
                continue
            name = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found += [f"{name}:{number}: {advice}" for pattern, allowed, advice in RULES
                          if pattern.search(line) and name not in allowed]
    print("\n".join(found) or "every rule is kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
