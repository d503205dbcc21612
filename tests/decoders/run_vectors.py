# SPDX-License-Identifier: EUPL-1.2
"""Runs on MicroPython: every vector file named on the command line; prints one line a file, stops at a failure."""

import gc
import json
import sys

import vector_checks

gc.collect()
print("heap", gc.mem_alloc())
for path in sys.argv[1:]:
    with open(path) as file:
        kinds = json.load(file)
    passed = 0
    for kind, vectors in kinds.items():
        for vector in vectors:
            try:
                vector_checks.CHECKS[kind](vector)
            except Exception:
                print("failed", path, kind, vector["description"])
                raise
            passed += 1
    print("passed", passed)
