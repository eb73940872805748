"""`posecast evaluate`: forecasts and baselines against the truth, one table."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from posecast.cli.parsing import OverClips, parse, print_json
from posecast.computing.devices import Flat
from posecast.evaluation.jobs import EvaluationConfig
from posecast.evaluation.judges import NetworkFiles, load_networks
from posecast.evaluation.loop import evaluate
from posecast.evaluation.setup import MethodChoice, load_methods
from posecast.evaluation.summary import summarise
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
    report = evaluate(
        load_methods(asked.methods, store),
        store,
        asked.out,
        asked.config,
        load_networks(asked.networks),
        command=f"{program} {shlex.join(words)}",
        share=share,
    )
    if share.is_first and asked.how.json:
        table = summarise(asked.out)
        print_json({"report": report, "curves": [table.curve(*key) for key in table.measured]})
    elif share.is_first:
        print(report.summary())
        print(f"\n{headline_text(summarise(asked.out, num_draws=1))}\n")
        print(f"All numbers: {asked.out / 'rows.csv'}; settings: {asked.out / 'evaluation.json'}.")
        print(f"With intervals, curves and clips: posecast report {asked.out} --out PAGE")
    return 1 if asked.how.strict and report.left_out else 0
