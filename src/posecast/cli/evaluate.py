"""`posecast evaluate`: a table; `report`: a page of it; `benchmark`: published protocols."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import OverClips, parse, print_json
from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.evaluation.judges import NetworkFiles, load_networks
from posecast.evaluation.loop import evaluate
from posecast.evaluation.penn_benchmark import PennPoseBenchmark, run_penn_pose_benchmark
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.setup import MethodChoice, load_methods
from posecast.evaluation.summary import summarise
from posecast.report import ReportConfig, write_report
from posecast.report.headline import headline_text
from posecast.store.reading import Store


@dataclass(frozen=True)
class Evaluate:
    """Evaluate forecasts and baselines on clips of a prepared store into one table.

    Writes OUT/rows.csv (clip, action, method, metric, frame, value, weight), OUT/evaluation.json
    and a few clips to look at, and prints a few of the numbers; 'posecast report OUT --out PAGE'
    makes a page of all. The same command again goes on where it stopped. The default is the
    validation split: numbers on test clips must not choose anything, so they need --final, and
    the runs remember it.

    Examples:
      posecast evaluate --store store --pose-run runs/pose --image-run runs/image --out numbers
      posecast evaluate --store store --pose-run runs/a runs/b --out compared
      posecast evaluate --store store --pose-run runs/pose --out final \\
        --clips.split test --final
    """

    store: Path
    """Prepared store."""
    out: Path
    """Folder for the table."""
    methods: Flat[MethodChoice] = MethodChoice()
    networks: Flat[NetworkFiles] = NetworkFiles()
    config: Flat[EvaluationConfig] = EvaluationConfig()
    how: Flat[OverClips] = OverClips()


def evaluate_store(words: list[str], program: str) -> int:
    """`posecast evaluate --store STORE --out OUT`."""
    asked = parse(Evaluate, words, program)
    share = asked.how.share(asked.methods.run_on.device)
    store = Store.open(asked.store)
    methods, networks = load_methods(asked.methods, store), load_networks(asked.networks)
    command = f"{program} {shlex.join(words)}"
    report = evaluate(methods, store, asked.out, asked.config, networks, command, share)
    if share.is_first and asked.how.json:
        table = summarise(asked.out)
        print_json({"report": report, "curves": [table.curve(*key) for key in table.measured]})
    elif share.is_first:
        print(report.summary())
        print(f"\n{headline_text(summarise(asked.out, num_draws=1))}\n")
        print(f"All numbers: {asked.out / 'rows.csv'}; settings: {asked.out / 'evaluation.json'}.")
        print(f"With intervals, curves and clips: posecast report {asked.out} --out PAGE")
    return 1 if asked.how.strict and report.left_out else 0


@dataclass(frozen=True)
class Report:
    """Make one HTML folder of finished evaluations: tables, curves, clips that play in step.

    It opens from disk without a network, on a phone too, and prints.

    Examples:
      posecast report numbers --out page
      posecast report numbers other-numbers --out page --title "Two evaluations"
    """

    evaluations: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of 'posecast evaluate'."""
    out: Path
    """Folder for the page: index.html and files/."""
    config: Flat[ReportConfig] = ReportConfig()


def report(words: list[str], program: str) -> int:
    """`posecast report EVALUATION ... --out OUT`."""
    asked = parse(Report, words, program)
    if not asked.evaluations:
        raise PosecastError(
            f"{program} needs the folder of an evaluation: {program} NUMBERS --out PAGE"
        )
    print(write_report(asked.evaluations, asked.out, asked.config))
    return 0


@dataclass(frozen=True)
class BenchmarkPennPose:
    """Forecast poses of Penn Action's test clips by the published protocol, or its clean variant.

    Prints PCK@0.05 at steps 1 to 16 of the last pose, of constant velocity and of pose runs.
    RAW holds labels/0001.mat ...; no frames are needed. Test clips are all there is, so pose runs
    need --final, and remember it.

    Examples:
      posecast benchmark penn-pose Penn_Action --variant A
      posecast benchmark penn-pose Penn_Action --variant E --seen 10 --pose-run runs/pose --final
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set."""
    config: Flat[PennPoseBenchmark] = PennPoseBenchmark()


def penn_pose(words: list[str], program: str) -> int:
    """`posecast benchmark penn-pose RAW`."""
    asked = parse(BenchmarkPennPose, words, program)
    table = run_penn_pose_benchmark(asked.raw, asked.config, f"{program} {shlex.join(words)}")
    print(table.text())
    return 0
