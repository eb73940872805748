"""`posecast evaluate`: a table; `report`: a page of it; `benchmark`: published protocols."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli import typed
from posecast.cli.parsing import Command, OverClips, print_json
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
class Evaluate(Command):
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

    def __call__(self) -> int:
        share = self.how.share(self.methods.run_on.device)
        store = Store.open(self.store)
        methods, networks = load_methods(self.methods, store), load_networks(self.networks)
        report = evaluate(methods, store, self.out, self.config, networks, typed.get(), share)
        if share.is_first and self.how.json:
            table = summarise(self.out)
            print_json({"report": report, "curves": [table.curve(*key) for key in table.measured]})
        elif share.is_first:
            print(report.summary())
            print(f"\n{headline_text(summarise(self.out, num_draws=1))}\n")
            print(
                f"All numbers: {self.out / 'rows.csv'}; settings: {self.out / 'evaluation.json'}."
            )
            print(f"With intervals, curves and clips: posecast report {self.out} --out PAGE")
        return 1 if self.how.strict and report.left_out else 0


@dataclass(frozen=True)
class Report(Command):
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

    def __call__(self) -> None:
        if not self.evaluations:
            raise PosecastError(
                "posecast report needs the folder of an evaluation: posecast report NUMBERS --out "
                "PAGE"
            )
        print(write_report(self.evaluations, self.out, self.config))


@dataclass(frozen=True)
class BenchmarkPennPose(Command):
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

    def __call__(self) -> None:
        table = run_penn_pose_benchmark(self.raw, self.config, typed.get())
        print(table.text())
