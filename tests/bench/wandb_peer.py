"""The SDK's side of the bench: rows of 8 metrics into an offline run, from init to finish.

usage: wandb_peer.py ROWS FOLDER    prints seconds, rows a second, peak memory (this process and wandb-core)
"""
import json
import os
import random
import resource
import sys
import time

rows, folder = int(sys.argv[1]), sys.argv[2]
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_ERROR_REPORTING="false", HOME=folder)
import wandb  # noqa: E402  (reads the environment)

random.seed(1)
values = [[random.random() for _ in range(8)] for _ in range(1000)]
names = [f"metric_{i}" for i in range(8)]
started = time.monotonic()
settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
run = wandb.init(project="bench", dir=folder, settings=settings)
for i in range(rows):
    run.log(dict(zip(names, values[i % 1000])), step=i)
logged = time.monotonic()
run.finish()
ended = time.monotonic()
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
core = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"rows": rows, "seconds": round(ended - started, 2), "logged": round(logged - started, 2),
                  "peak_mib": round(own / 1024), "core_mib": round(core / 1024)}))
