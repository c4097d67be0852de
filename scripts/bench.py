#!/usr/bin/env python3
"""Measure Kino from outside: against the stock ComfyUI server, and against its own promises.

Knows: the rows, and where results are written.
Does not know: how a row measures (``bench_rows``).

Every row starts its own servers with their defaults: no durability promise is switched off, and
each request differs from all others, so that no cache answers. Ratios are taken within one run,
in turns, because machines differ and are noisy::

    python scripts/bench.py                    # every row; a table, and bench-results/latest.json
    python scripts/bench.py pictures start     # some rows
    python scripts/bench.py --write            # and docs/bench.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench_rows import (
    console,
    converting,
    editor,
    generation,
    keyframes,
    long_mix,
    loudness,
    pictures,
    resampling,
    service,
    spectral,
    stock_clients,
)
from bench_rows.figures import Figure, as_json, table, write_page
from bench_rows.servers import ROOT, NotMeasured

Row = Callable[[Path], list[Figure]]

ROWS: Final[dict[str, tuple[Row, str]]] = {
    "pictures": (
        pictures.measure,
        "from submit to bytes in hand of a 64x64 EmptyImage → SaveImage, one after the other and "
        "eight at a time. Kino: `POST /v1/operations/workflows.run?wait=30` and GET of the output, "
        "every job in the ledger and every result in the asset store, synced to disk. Stock: "
        "ComfyUI's own server from the same tree, asked as its websocket example does; it keeps "
        "nothing. Floor: a bare aiohttp server in front of a `PromptExecutor`. CPU is user and "
        "system time of all processes of a side, divided by its requests.",
    ),
    "sdxl": (
        generation.measure,
        "text to picture with stock nodes from a tiny SDXL checkpoint, one after the other, both "
        "sides in turns, a new seed each; Kino through `workflows.run`, stock as above. First "
        "picture: with loading the checkpoint. Memory: USS of the whole tree of processes after.",
    ),
    "sdxl-gpu": (
        generation.measure_gpu,
        "the same from a checkpoint of SDXL's own size; measured only where there is a GPU.",
    ),
    "stock-client": (
        stock_clients.measure,
        "a stock client's whole round trip with the 64x64 picture: POST /prompt, the end over the "
        "WebSocket, /history, /view; on Kino's port below `/comfy`, where every prompt is a job in "
        "the ledger, and on the genuine server, in turns. Then `/object_info`, which Kino keeps.",
    ),
    "conversion": (
        converting.measure,
        "the largest official template to the API format: `convert` in this process, and "
        "`loadGraphData` and `graphToPrompt` of the editor in a headless Chromium, in turns. "
        "Validation: from the POST of the graph to its refusal, as its models are missing; Kino "
        "by `workflows.run`, stock by `/prompt`.",
    ),
    "editor": (
        editor.measure,
        "from navigation until every node of the server is registered in the stock frontend, in a "
        "headless Chromium, both sides in turns: Kino's `/editor/` through the API process, with "
        "its nodes and their widgets, and ComfyUI's own server. First visit: nothing is cached.",
    ),
    "start": (
        service.measure_start,
        "from launch until `/healthz` answers; the API process at rest once every worker is ready.",
    ),
    "dispatch": (
        service.measure_dispatch,
        "from before the POST, at the client, to the `started` of the job, on an idle worker.",
    ),
    "console": (
        console.measure,
        "eight stereo strips of 60 s at 48 kHz through every insert of strip and master, on arrays "
        "in memory, all sides in turns. Kino: `mixer.mix` as a call, with meters of the master. "
        "pedalboard: its built-in effects in the same order, the strips on two threads; its drive "
        "is a plain tanh, its limiter knows no true peak. torchaudio: what it has of the chain, "
        "which is filters, echoes and overdrive, no dynamics. Predecessor: its own measurement.",
    ),
    "spectral": (
        spectral.measure,
        "magnitudes of ten seconds to sound, on one thread, both sides in turns. Kino: 48 "
        "iterations from integrated phases. torchaudio: `griffinlim` with 100 iterations and "
        "momentum 0.99. Convergence is the spectrum's distance from the wanted one, by torch.",
    ),
    "keyframes": (
        keyframes.measure,
        "ten minutes of drums with known strokes, mono at 44.1 kHz, in memory, both sides warm, in "
        "turns. Level: the mean square on a fine grid against `feature.rms`. Beats: onset times "
        "against `onset_detect`. Tempo: tempo and beats against `beat_track`. F: the harmonic mean "
        "of precision and recall, within 50 ms; Kino's from the frames of a curve at 24000/1001.",
    ),
    "loudness": (
        loudness.measure,
        "three minutes of stereo at 48 kHz, in memory, both sides in turns. Integrated loudness "
        "alone, and all of Kino's meters at once (momentary, short-term, range, true peak at eight "
        "times the rate, RMS). Error: the largest on cases 1 and 3 to 5 of EBU Tech 3341.",
    ),
    "resampling": (
        resampling.measure,
        "48 to 44.1 kHz. Kino: soxr VHQ, in blocks. torchaudio: `functional.resample` as it comes. "
        "Noise: what a fitted sine leaves of each tone of a sweep from 50 Hz to 20 kHz. Alias: "
        "what is left of tones between 22.4 and 23.8 kHz, which the new rate cannot hold. Speed: "
        "a minute of stereo, in memory, both sides in turns.",
    ),
    "long-mix": (
        long_mix.measure,
        "a `mixer.mix` of four two-hour strips to 48 kHz; the largest USS of the worker meanwhile.",
    ),
}


def main() -> int:
    """Measure the rows asked for; 0 if every target is met, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(ROWS)} (all)")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md too")
    parser.add_argument("--results", type=Path, default=ROOT / "bench-results")
    parser.add_argument("--scratch", type=Path, help="where servers keep their files")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    names = asked.rows or list(ROWS)

    figures = measure(names, asked.scratch)
    print("\n" + table(figures))
    asked.results.mkdir(parents=True, exist_ok=True)
    (asked.results / "latest.json").write_text(as_json(figures), encoding="utf-8")
    if asked.write:
        explained = [(name, ROWS[name][1]) for name in names]
        write_page(figures, explained, ROOT / "docs" / "bench.md")
    return 1 if any(figure.met is False for figure in figures) else 0


def measure(names: list[str], scratch: Path | None) -> list[Figure]:
    """Measure each row in a folder of its own; what cannot be measured is said and left out."""
    figures: list[Figure] = []
    for name in names:
        start = time.monotonic()
        print(f"  … {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="kino-bench-", dir=scratch) as folder:
            try:
                figures += ROWS[name][0](Path(folder))
            except NotMeasured as reason:
                print(f"  ! {name} was not measured: {reason}", flush=True)
                continue
        print(f"  ✓ {name} ({time.monotonic() - start:.0f} s)", flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
