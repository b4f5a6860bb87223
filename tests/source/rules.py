"""Rules about the sources that no compiler checks. usage: rules.py SOURCE_DIR"""
import pathlib
import re
import sys

# What a pattern is wrong for, and where it is right.
RULES = [
    (re.compile(r"\bdata_ptr\b|\bconst_data_ptr\b|\bmutable_data_ptr\b"), {"harness/include/nmlbench/dense.h"},
     "a pointer into a tensor comes from dense_data() (nmlbench/dense.h), which checks device, type and layout"),
    (re.compile(r"__builtin_cpu_supports"), {"harness/kernels/cpu_level.cpp"},
     "what the processor can do is asked of cpu_level() (kernels/cpu_level.h), which can be forced"),
    (re.compile(r"\b(get|set|put)env\b"),
     {"harness/support/environment.cpp", "harness/kernels/cpu_level.cpp", "harness/sdk/captured.cpp", "harness/cli/main.cpp"},
     "the environment is read by the program (support/environment.h); plugins are handed what they need "
     "(nmlbench/surroundings.h)"),
]

# Which folders the files of a folder may include from (DESIGN 1), beside itself and the public headers <nmlbench/...>.
# Includes are written from harness/, plugins/ or the root ("results/..."), and never with "../".
LAYERS = {
    "harness/kernels": [], "harness/sdk": ["kernels"], "harness/records": [], "harness/support": [],
    "harness/config": ["records", "support"], "harness/plan": ["config", "records", "support"],
    "harness/registry": ["plan", "config", "records", "support", "kernels"], "harness/cache": ["support"],
    "harness/engine": ["cache", "registry", "plan", "config", "records", "support", "kernels"],
    "harness/cli": ["engine", "cache", "registry", "plan", "config", "records", "support", "kernels", "results"],
    "results/store": ["records", "support"], "results/query": ["results/store", "records", "support"],
    "results/boards": ["results/query", "results/store", "records", "support"],
    "results/render": ["results/boards", "results/query", "results/store", "records", "support"],
    "results/report": ["results/render", "results/boards", "results/query", "results/store", "records", "support"],
    "plugins": ["support", "kernels", "datasets", "models", "noise", "tuners"],
}


def forbidden_include(name, line):
    """Why this line of the file `name` includes against the layers, or None."""
    include = re.match(r'\s*#include "([^"]+)"', line)
    folder = next((folder for folder in LAYERS if name.startswith(folder + "/")), None)
    if not include or not folder:
        return None
    path = include[1]
    if path.startswith(".."):
        return 'an include is written from the top of its tree, never with "../"'
    if folder == "plugins" and path == "support/environment.h":
        return "plugins read no environment variables; they are handed what they need (nmlbench/surroundings.h)"
    own = folder.removeprefix("harness/")
    if "/" not in path or any(path.startswith(allowed + "/") for allowed in [own, *LAYERS[folder]]):
        return None
    return f'{folder} may not include "{path}": see LAYERS in tests/source/rules.py'


def main():
    root, found = pathlib.Path(sys.argv[1]), []
    for folder in ("harness", "plugins", "results", "examples"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".cpp", ".h", ".in"):
                continue
            name = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if forbidden := forbidden_include(name, line):
                    found.append(f"{name}:{number}: {forbidden}")
                found += [f"{name}:{number}: {advice}" for pattern, allowed, advice in RULES
                          if pattern.search(line) and name not in allowed]
    print("\n".join(found) or "every rule is kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
